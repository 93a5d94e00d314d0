/* segment.c -- see segment.h.
 *
 * Building     the object begins as an unnamed file (O_TMPFILE) in /dev/shm: reserved in full with fallocate, written, and only then
 *              linked under its name. A second creator gets EEXIST and attaches. So nobody ever sees half a segment.
 * Lock file    /dev/shm/fincache-lock.<name>.<segment id>, linked before the segment. Only who may write the segment may open it. It
 *              carries the id, so that a segment that is unlinked and created again has another one.
 * Removing     the name goes while the object is locked, and only if it still leads there: of two processes that remove and create
 *              a segment of one name at the same time, none removes the other's new one.
 * Re-created   an attached process notices by `retired` in the header, which unlinking sets; a stale name leads to another inode, which
 *              fc_cache_attach checks after mapping.
 * Sources      shm_overview(7), open(2) on O_TMPFILE, linkat(2) through /proc/self/fd
 */
#include "memory/segment.h"

#include "base/clock.h"
#include "layout/geometry.h"
#include "memory/liveness.h"
#include "memory/page.h"
#include "memory/session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define SHM_DIRECTORY "/dev/shm"
#define OBJECT_PREFIX "fincache."
#define LOCK_PREFIX "fincache-lock."
#define PATH_BYTES 160
#define OPEN_ATTEMPTS 16
/* How long an unlinking process waits for another one that removes the same segment: 100 ms. */
#define UNLINK_ATTEMPTS 100u
#define UNLINK_PAUSE_NS 1000000
/* A huge page of x86-64, and of aarch64 with small pages of 4 KiB. */
#define HUGE_PAGE_BYTES ((uint64_t)2 << 20)
/* Linux 6.1, younger than Debian 12's libc headers. */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* ------------------------------------------------------------------ names */

static int is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

static fc_status check_name(const char *name)
{
    size_t length = name == NULL ? 0 : strnlen(name, FC_NAME_BYTES_MAX + 1);
    if (length == 0 || length > FC_NAME_BYTES_MAX) return fc_fail(FC_INVALID_NAME, "it has %zu characters", length);
    for (size_t i = 0; i < length; i++)
        if (!is_name_byte(name[i])) return fc_fail(FC_INVALID_NAME, "character %zu is not allowed", i + 1);
    if (name[0] == '.' || name[0] == '-') return fc_fail(FC_INVALID_NAME, "it begins with '%c'", name[0]);
    return FC_OK;
}

fc_status fc_segment_path(char *path, size_t path_bytes, const char *name)
{
    FC_TRY(check_name(name));
    snprintf(path, path_bytes, SHM_DIRECTORY "/" OBJECT_PREFIX "%s", name);
    return FC_OK;
}

/* ------------------------------------------------------------------ creating */

/* Signals wait meanwhile: tmpfs gives up and begins again at any of them. */
static fc_status reserve(int file, uint64_t bytes)
{
    struct statvfs room;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = posix_fallocate(file, 0, (off_t)bytes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    if (error == 0) return FC_OK;
    if (error != ENOSPC && error != ENOMEM && error != EFBIG) return fc_fail_errno(FC_SYSTEM, "reserve %" PRIu64 " bytes in " SHM_DIRECTORY, bytes);
    uint64_t free_bytes = statvfs(SHM_DIRECTORY, &room) == 0 ? (uint64_t)room.f_bavail * room.f_frsize : 0;
    return fc_fail(FC_NO_SPACE, "%" PRIu64 " bytes asked for, %" PRIu64 " are free", bytes, free_bytes);
}

static fc_status open_unnamed(uint32_t mode, int64_t group, uint64_t bytes, int *file_out)
{
    int file = open(SHM_DIRECTORY, O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
    if (file < 0) return fc_fail_errno(errno == EACCES ? FC_PERMISSION : FC_SYSTEM, "create a file in " SHM_DIRECTORY);
    fc_status status = FC_OK;
    if (group >= 0 && fchown(file, (uid_t)-1, (gid_t)group) != 0) status = fc_fail_errno(FC_PERMISSION, "give the segment to group %" PRId64, group);
    else if (fchmod(file, mode) != 0) status = fc_fail_errno(FC_SYSTEM, "fchmod");
    else if (bytes > 0) {
        status = reserve(file, bytes);
    }
    if (status == FC_OK) *file_out = file;
    else close(file);
    return status;
}

static fc_status link_file(int file, const char *path, const char *name)
{
    char source[64];
    snprintf(source, sizeof source, "/proc/self/fd/%d", file);
    if (linkat(AT_FDCWD, source, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0) return FC_OK;
    if (errno == EEXIST) return fc_fail(FC_SEGMENT_EXISTS, "segment %s", name);
    return fc_fail_errno(FC_SYSTEM, "link %s", path);
}

/* Who may write the segment may lock; nobody else may even open the file. */
static uint32_t lock_mode(uint32_t mode)
{
    uint32_t writers = mode & 0222;
    return writers | writers << 1;
}

static fc_status random_word(uint64_t *word)
{
    if (getrandom(word, sizeof *word, 0) == (ssize_t)sizeof *word && *word != 0) return FC_OK;
    return fc_fail_errno(FC_SYSTEM, "getrandom");
}

static void write_header(const fc_cache *cache, const fc_options *options)
{
    fc_header *header = fc_header_of(cache);
    fc_copy_in(&header->geometry, &cache->geometry, sizeof cache->geometry);
    fc_store_relaxed(&header->policy, options->policy);
    fc_store_relaxed(&header->epoch, 1);
    fc_store_relaxed(&header->serial_next, 1);
    for (uint32_t i = 0; i < FC_DATABASE_SLOTS; i++) fc_store_relaxed(&header->flush_generations[i], 1);
    for (uint32_t i = 0; i < fc_slot_count(cache); i++) fc_store_relaxed(&fc_slot_at(cache, i)->incarnation, 1);
    fc_pages_init(cache);
}

/* Maps at a multiple of a huge page, without which the kernel never uses one; where there is no room for that, anywhere. */
static void *map_aligned(uint64_t bytes, int protection, int file)
{
    uint8_t *room = mmap(NULL, bytes + HUGE_PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) return mmap(NULL, bytes, protection, MAP_SHARED, file, 0);
    uint64_t before = -(uintptr_t)room % HUGE_PAGE_BYTES;
    uint8_t *base = room + before;
    if (mmap(base, bytes, protection, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED) {
        munmap(room, bytes + HUGE_PAGE_BYTES);
        return MAP_FAILED;
    }
    if (before > 0) munmap(room, before);
    munmap(base + bytes, HUGE_PAGE_BYTES - before);
    return base;
}

static fc_status map_file(fc_cache *cache, int file)
{
    int protection = cache->read_only ? PROT_READ : PROT_READ | PROT_WRITE;
    void *base = map_aligned(cache->geometry.size_bytes, protection, file);
    if (base == MAP_FAILED) return fc_fail_errno(FC_SYSTEM, "map %" PRIu64 " bytes", cache->geometry.size_bytes);
    cache->base = base;
    return FC_OK;
}

static fc_cache *new_cache(const char *name)
{
    fc_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL) return NULL;
    snprintf(cache->name, sizeof cache->name, "%s", name);
    cache->pid_namespace = fc_liveness_namespace();
    return cache;
}

static void drop_cache(fc_cache *cache)
{
    if (cache->base != NULL) munmap(cache->base, cache->geometry.size_bytes);
    free(cache);
}

static fc_status remember_inode(fc_cache *cache, int file)
{
    struct stat stat_buffer;
    if (fstat(file, &stat_buffer) != 0) return fc_fail_errno(FC_SYSTEM, "fstat");
    cache->device = stat_buffer.st_dev;
    cache->inode = stat_buffer.st_ino;
    return FC_OK;
}

/* What the options ask of a mapping, after it is there. */
static fc_status prepare_mapping(fc_cache *cache, const fc_options *options)
{
    uint64_t bytes = cache->geometry.size_bytes;
    if (options == NULL) return FC_OK;
    if (options->huge_pages) cache->huge_advised = madvise(cache->base, bytes, MADV_HUGEPAGE) == 0;
    if (options->prefault && madvise(cache->base, bytes, cache->read_only ? MADV_POPULATE_READ : MADV_POPULATE_WRITE) != 0 && errno != EINVAL)
        return fc_fail_errno(FC_SYSTEM, "prefault %" PRIu64 " bytes", bytes);
    if (!options->lock_memory) return FC_OK;
    if (mlock(cache->base, bytes) != 0) return fc_fail_errno(FC_MEMLOCK, "mlock %" PRIu64 " bytes", bytes);
    cache->locked = 1;
    return FC_OK;
}

/* Builds the whole segment in the unnamed file and gives it its names. */
static fc_status build(fc_cache *cache, const fc_options *options, int file, int lock_file)
{
    char path[PATH_BYTES], lock_path[PATH_BYTES];
    struct stat stat_buffer;
    fc_geometry *geometry = &cache->geometry;
    FC_TRY(fc_segment_path(path, sizeof path, cache->name));
    FC_TRY(random_word(&geometry->segment_id));
    if (options->hash_seed != 0) geometry->hash_seed = options->hash_seed;
    else FC_TRY(random_word(&geometry->hash_seed));
    geometry->created_unix_ns = fc_clock_unix_ns();
    if (fstat(lock_file, &stat_buffer) != 0) return fc_fail_errno(FC_SYSTEM, "fstat");
    geometry->lock_inode = stat_buffer.st_ino;
    geometry->checksum = fc_geometry_checksum(geometry);
    FC_TRY(map_file(cache, file));
    FC_TRY(remember_inode(cache, file));
    write_header(cache, options);
    /* Works whatever shmem_enabled says, "deny" apart. Only here, where nobody waits: it copies every page (1 to 4 s a GiB). */
    if (options->huge_pages) (void)madvise(cache->base, geometry->size_bytes, MADV_COLLAPSE);
    FC_TRY(prepare_mapping(cache, options));
    fc_liveness_lock_path(lock_path, sizeof lock_path, cache->name, geometry->segment_id);
    FC_TRY(link_file(lock_file, lock_path, cache->name));
    fc_status status = link_file(file, path, cache->name);
    if (status != FC_OK) unlink(lock_path);
    return status;
}

void fc_options_init(fc_options *options)
{
    *options = (fc_options){.size_bytes = 64u << 20, .mode = 0600, .group = -1};
}

fc_status fc_cache_create(const char *name, const fc_options *options, fc_cache **cache_out)
{
    fc_geometry geometry;
    if (options == NULL || cache_out == NULL) return fc_fail(FC_INVALID_ARGUMENT, "NULL");
    FC_TRY(check_name(name));
    uint64_t item_bytes = options->item_bytes != 0 ? options->item_bytes : 200;
    uint64_t block_bytes = sizeof(fc_block) + item_bytes;
    if (block_bytes <= FC_HEAD_BYTES_MAX) block_bytes = fc_class_bytes[fc_class_for(block_bytes)];
    FC_TRY(fc_geometry_plan(options, block_bytes, &geometry));
    int file, lock_file;
    FC_TRY(open_unnamed(options->mode, options->group, geometry.size_bytes, &file));
    fc_status status = open_unnamed(lock_mode(options->mode), options->group, 0, &lock_file);
    if (status != FC_OK) {
        close(file);
        return status;
    }
    fc_cache *cache = new_cache(name);
    if (cache == NULL) status = fc_fail(FC_SYSTEM, "no memory for a handle");
    else {
        cache->geometry = geometry;
        status = build(cache, options, file, lock_file);
        if (status == FC_OK) *cache_out = cache;
        else drop_cache(cache);
    }
    close(lock_file);
    close(file);
    return status;
}

/* ------------------------------------------------------------------ attaching */

static fc_status open_named(const char *name, int read_only, int *file)
{
    char path[PATH_BYTES];
    FC_TRY(fc_segment_path(path, sizeof path, name));
    *file = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); /* a FIFO must not block us */
    if (*file >= 0) return FC_OK;
    if (errno == ENOENT) return fc_fail(FC_SEGMENT_MISSING, "segment %s", name);
    if (errno == EACCES || errno == EPERM) return fc_fail_errno(FC_PERMISSION, "open segment %s for %s", name, read_only ? "reading" : "writing");
    return fc_fail_errno(errno == ELOOP || errno == EISDIR ? FC_FOREIGN_SEGMENT : FC_SYSTEM, "open %s", path);
}

static fc_status read_geometry(fc_cache *cache, int file)
{
    struct stat stat_buffer;
    if (fstat(file, &stat_buffer) != 0) return fc_fail_errno(FC_SYSTEM, "fstat");
    if (!S_ISREG(stat_buffer.st_mode)) return fc_fail(FC_FOREIGN_SEGMENT, "segment %s is no regular file", cache->name);
    ssize_t length = pread(file, &cache->geometry, sizeof cache->geometry, 0);
    if (length < 0) return fc_fail_errno(FC_SYSTEM, "read the header");
    if (length < 8 || cache->geometry.magic != FC_MAGIC) return fc_fail(FC_FOREIGN_SEGMENT, "segment %s: its first 8 bytes are not FINCACHE", cache->name);
    if ((size_t)length < sizeof cache->geometry) return fc_fail(FC_TRUNCATED_SEGMENT, "segment %s has %zd bytes, less than a header", cache->name, length);
    return fc_geometry_check(&cache->geometry, (uint64_t)stat_buffer.st_size);
}

/* The name may have been given to another segment since we opened it. */
static fc_status check_still_named(const fc_cache *cache)
{
    char path[PATH_BYTES];
    struct stat stat_buffer;
    FC_TRY(fc_segment_path(path, sizeof path, cache->name));
    if (fc_load_acquire(&fc_header_of(cache)->retired) == 0 && /* [segment.retired] */
        stat(path, &stat_buffer) == 0 && stat_buffer.st_ino == cache->inode &&
        stat_buffer.st_dev == cache->device)
        return FC_OK;
    return fc_fail(FC_SEGMENT_RETIRED, "segment %s was unlinked", cache->name);
}

static fc_status attach_file(fc_cache *cache, const fc_options *options, int file)
{
    FC_TRY(read_geometry(cache, file));
    FC_TRY(remember_inode(cache, file));
    FC_TRY(map_file(cache, file));
    FC_TRY(check_still_named(cache));
    return prepare_mapping(cache, options);
}

fc_status fc_cache_attach(const char *name, const fc_options *options, fc_cache **cache_out)
{
    int file;
    int read_only = options != NULL && options->read_only;
    if (cache_out == NULL) return fc_fail(FC_INVALID_ARGUMENT, "NULL");
    FC_TRY(open_named(name, read_only, &file));
    fc_cache *cache = new_cache(name);
    if (cache == NULL) {
        close(file);
        return fc_fail(FC_SYSTEM, "no memory for a handle");
    }
    cache->read_only = (uint8_t)read_only;
    fc_status status = attach_file(cache, options, file);
    close(file);
    if (status == FC_OK) *cache_out = cache;
    else drop_cache(cache);
    return status;
}

fc_status fc_cache_open(const char *name, const fc_options *options, fc_cache **cache)
{
    fc_options attach_options;
    if (options == NULL) return fc_fail(FC_INVALID_ARGUMENT, "NULL");
    attach_options = *options;
    attach_options.read_only = 0;
    for (int attempt = 0;; attempt++) {
        fc_status status = fc_cache_attach(name, &attach_options, cache);
        if (status != FC_SEGMENT_MISSING && status != FC_SEGMENT_RETIRED) return status;
        status = fc_cache_create(name, options, cache);
        /* Somebody created it between our two looks; and may have unlinked it again, but not for ever. */
        if (status != FC_SEGMENT_EXISTS || attempt == OPEN_ATTEMPTS) return status;
    }
}

fc_status fc_cache_close(fc_cache *cache)
{
    if (cache == NULL) return FC_OK;
    FC_TRY(fc_session_close_all(cache));
    drop_cache(cache);
    return FC_OK;
}

/* ------------------------------------------------------------------ names again */

/* Marks the segment behind an open file as unlinked, if it is one of ours and may be written. */
static void retire_file(int file, const char *name)
{
    fc_geometry geometry;
    char lock_path[PATH_BYTES];
    if (pread(file, &geometry, sizeof geometry, 0) != (ssize_t)sizeof geometry || geometry.magic != FC_MAGIC) return;
    /* Where another layout keeps the flag is not ours to know. */
    if (geometry.layout_version != FC_LAYOUT_VERSION) return;
    void *header = mmap(NULL, FC_HEADER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (header != MAP_FAILED) {
        fc_store_release(&((fc_header *)header)->retired, 1); /* [segment.retired] */
        munmap(header, FC_HEADER_BYTES);
    }
    fc_liveness_lock_path(lock_path, sizeof lock_path, name, geometry.segment_id);
    unlink(lock_path);
}

static fc_status unlink_path(const char *path, const char *name)
{
    if (unlink(path) == 0) return FC_OK;
    if (errno == ENOENT) return fc_fail(FC_SEGMENT_MISSING, "segment %s", name);
    if (errno == EACCES || errno == EPERM) return fc_fail_errno(FC_PERMISSION, "unlink segment %s", name);
    return fc_fail_errno(FC_SYSTEM, "unlink %s", path);
}

/* There is no unlinking by descriptor, so whoever removes a segment has its object locked meanwhile (flock: it goes with the descriptor, so with
 * the process): as long as all do, the name that leads to it cannot come to lead to another. */
static fc_status lock_object(int file, const char *name)
{
    for (uint32_t attempt = 0; flock(file, LOCK_EX | LOCK_NB) != 0; attempt++) {
        if (errno != EWOULDBLOCK) return fc_fail_errno(FC_SYSTEM, "lock segment %s", name);
        if (attempt == UNLINK_ATTEMPTS) return fc_fail(FC_BUSY, "another process is removing segment %s, and is stopped", name);
        nanosleep(&(struct timespec){.tv_nsec = UNLINK_PAUSE_NS}, NULL);
    }
    return FC_OK;
}

static fc_status unlink_file(int file, const char *path, const char *name)
{
    struct stat ours, there;
    FC_TRY(lock_object(file, name));
    if (fstat(file, &ours) != 0) return fc_fail_errno(FC_SYSTEM, "look at segment %s", name);
    if (stat(path, &there) != 0 || there.st_ino != ours.st_ino || there.st_dev != ours.st_dev)
        return fc_fail(FC_SEGMENT_MISSING, "segment %s was unlinked by another process just now", name);
    FC_TRY(unlink_path(path, name));
    /* Less than a header: nothing to retire, and touching a mapping of it would be SIGBUS. */
    if (ours.st_size >= (off_t)FC_HEADER_BYTES) retire_file(file, name);
    return FC_OK;
}

fc_status fc_cache_unlink(const char *name)
{
    char path[PATH_BYTES];
    FC_TRY(fc_segment_path(path, sizeof path, name));
    int file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) return unlink_path(path, name); /* nothing that could be retired, or not by us */
    fc_status status = unlink_file(file, path, name);
    close(file);
    return status;
}

fc_status fc_cache_list(int32_t (*visit)(void *context, const char *name), void *context)
{
    if (visit == NULL) return fc_fail(FC_INVALID_ARGUMENT, "NULL");
    DIR *directory = opendir(SHM_DIRECTORY);
    if (directory == NULL) return fc_fail_errno(FC_SYSTEM, "open " SHM_DIRECTORY);
    struct dirent *entry;
    int stop = 0;
    while (!stop && (entry = readdir(directory)) != NULL) {
        const char *name = entry->d_name + strlen(OBJECT_PREFIX);
        if (strncmp(entry->d_name, OBJECT_PREFIX, strlen(OBJECT_PREFIX)) == 0 && check_name(name) == FC_OK) stop = visit(context, name);
    }
    closedir(directory);
    return FC_OK;
}

/* ------------------------------------------------------------------ describing */

/* Bytes of the mapping that huge pages back: ShmemPmdMapped of its paragraph in smaps. */
static uint64_t huge_bytes_of(const fc_cache *cache)
{
    char line[256];
    uint64_t bytes = 0;
    int inside = 0;
    FILE *smaps = fopen("/proc/self/smaps", "re");
    if (smaps == NULL) return 0;
    while (fgets(line, sizeof line, smaps) != NULL) {
        uint64_t first, last, kib;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &first, &last) == 2) inside = first == (uintptr_t)cache->base;
        else if (inside && sscanf(line, "ShmemPmdMapped: %" SCNu64, &kib) == 1) bytes = kib * 1024;
    }
    fclose(smaps);
    return bytes;
}

fc_status fc_cache_describe(const fc_cache *cache, fc_cache_info *info)
{
    if (cache == NULL || info == NULL) return fc_fail(FC_INVALID_ARGUMENT, "NULL");
    const fc_geometry *geometry = &cache->geometry;
    const fc_header *header = fc_header_of(cache);
    *info = (fc_cache_info){
        .segment_id = geometry->segment_id,
        .size_bytes = geometry->size_bytes,
        .arena_bytes = geometry->page_count * FC_PAGE_BYTES,
        .home_count = geometry->home_count,
        .keys_configured = geometry->keys_configured,
        .value_bytes_max = geometry->value_bytes_max,
        .created_unix_ns = geometry->created_unix_ns,
        .huge_bytes = huge_bytes_of(cache),
        .databases = geometry->databases,
        .sessions_max = geometry->sessions_max,
        .policy = (uint32_t)fc_load_relaxed(&header->policy),
        .layout_version = geometry->layout_version,
        .mode = geometry->mode,
        .read_only = cache->read_only,
        .retired = fc_load_relaxed(&header->retired) != 0,
        .locked = cache->locked,
        .huge_advised = cache->huge_advised,
    };
    snprintf(info->name, sizeof info->name, "%s", cache->name);
    for (uint32_t i = 0; i < geometry->sessions_max; i++) info->sessions_used += fc_load_relaxed(&fc_slot_at(cache, i)->identity) != 0;
    return FC_OK;
}

fc_status fc_cache_set_policy(fc_cache *cache, uint32_t policy)
{
    if (cache == NULL) return fc_fail(FC_INVALID_ARGUMENT, "NULL");
    if (cache->read_only) return fc_fail(FC_READ_ONLY, "segment %s", cache->name);
    if (policy > FC_POLICY_ALLKEYS_RANDOM) return fc_fail(FC_INVALID_ARGUMENT, "policy is %u, allowed are 0 to %u", policy, FC_POLICY_ALLKEYS_RANDOM);
    fc_store_relaxed(&fc_header_of(cache)->policy, policy);
    return FC_OK;
}
