/* events.c -- what the server's threads tell the control plane: a locked list and an eventfd that is readable while it is not empty. */
#include "server/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Log lines that wait at most. */
#define LOG_EVENTS_MAX 4096u

fc_status fc_events_init(fc_event_queue *queue)
{
    memset(queue, 0, sizeof *queue);
    queue->last = &queue->first;
    queue->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (queue->fd < 0) return fc_fail_errno(FC_SYSTEM, "eventfd");
    pthread_mutex_init(&queue->lock, NULL);
    return FC_OK;
}

void fc_events_free(fc_event_queue *queue)
{
    if (queue->fd < 0) return;
    for (fc_event_node *node = queue->first, *next; node != NULL; node = next) {
        next = node->next;
        free(node);
    }
    free(queue->told);
    close(queue->fd);
    pthread_mutex_destroy(&queue->lock);
}

void fc_events_put(fc_event_queue *queue, uint32_t kind, uint32_t level, uint64_t ticket, uint64_t client_id, const void *text, uint64_t text_bytes)
{
    fc_event_node *node = malloc(sizeof *node + text_bytes + 1);
    pthread_mutex_lock(&queue->lock);
    if (node == NULL || (kind == FC_SERVER_EVENT_LOG && queue->count >= LOG_EVENTS_MAX)) {
        queue->dropped++;
        pthread_mutex_unlock(&queue->lock);
        free(node);
        return;
    }
    node->next = NULL;
    node->event = (fc_server_event){.kind = kind, .level = level, .ticket = ticket, .client_id = client_id, .at_unix_ns = fc_clock_unix_ns(), .text_bytes = text_bytes, .text = node->text};
    memcpy(node->text, text, text_bytes);
    node->text[text_bytes] = '\0';
    *queue->last = node;
    queue->last = &node->next;
    if (queue->count++ == 0) (void)!write(queue->fd, &(uint64_t){1}, sizeof(uint64_t));
    pthread_mutex_unlock(&queue->lock);
}

void fc_server_log(fc_server *server, uint32_t level, uint64_t client_id, const char *format, ...)
{
    char text[512];
    va_list arguments;
    if ((int64_t)level < fc_config_number(&server->host->config, FC_CONFIG_LOGLEVEL)) return;
    va_start(arguments, format);
    int bytes = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (bytes < 0) return;
    fc_events_put(&server->events, FC_SERVER_EVENT_LOG, level, 0, client_id, text, (size_t)bytes < sizeof text ? (uint64_t)bytes : sizeof text - 1);
}

int32_t fc_server_event_fd(const fc_server *server) { return server->events.fd; }

fc_status fc_server_next_event(fc_server *server, fc_server_event *event)
{
    fc_event_queue *queue = &server->events;
    uint64_t dropped = 0;
    pthread_mutex_lock(&queue->lock);
    fc_event_node *node = queue->first;
    if (node != NULL) {
        queue->first = node->next;
        if (queue->first == NULL) queue->last = &queue->first;
        if (--queue->count == 0) {
            uint64_t ignored;
            (void)!read(queue->fd, &ignored, sizeof ignored);
        }
        free(queue->told);
        queue->told = node;
        dropped = queue->dropped;
        queue->dropped = 0;
    }
    pthread_mutex_unlock(&queue->lock);
    if (node == NULL) return FC_MISS;
    *event = node->event;
    if (dropped > 0) fc_server_log(server, FC_SERVER_LEVEL_WARNING, 0, "%llu log lines were dropped: nobody took them", (unsigned long long)dropped);
    return FC_OK;
}
