/* test_block.c -- the shape of a value (csrc/table/block.c). */
#include "../memory/audit.h"

/* For every division: head and nodes hold the payload exactly, the head fits its largest class, no node is empty. */
static void every_shape_holds_its_payload(void)
{
    static const uint64_t keys[] = {0, 1, 8, 16, 1000, 16328, 40000, FC_KEY_BYTES_MAX};
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        for (uint64_t bytes = 0; bytes < 140000; bytes += bytes < 200 || bytes % 32768 > 32000 || (bytes % 32768 > 16000 && bytes % 32768 < 16400) ? 1 : 61)
            for (int schema = 0; schema < 2; schema++) {
                fc_shape shape;
                uint64_t payload = fc_align8(keys[i]) + bytes;
                fc_block_shape(keys[i], bytes, schema, &shape);
                CHECK(shape.head_bytes <= FC_HEAD_BYTES_MAX && shape.head_bytes >= sizeof(fc_block));
                CHECK_EQUAL(fc_payload_off(shape.flags) + shape.inline_bytes, shape.head_bytes);
                CHECK((shape.node_count > 0) == ((shape.flags & FC_BLOCK_CHAIN) != 0));
                CHECK(shape.inline_bytes <= payload && payload <= shape.inline_bytes + shape.node_count * FC_NODE_PAYLOAD);
                CHECK(shape.node_count == 0 || payload > shape.inline_bytes + (shape.node_count - 1) * FC_NODE_PAYLOAD);
                CHECK(shape.node_count > 0 || shape.inline_bytes == payload);
                CHECK(((shape.flags & FC_BLOCK_SCHEMA) != 0) == schema);
            }
}

/* V2: a view whose fields cannot be a block's at this place is refused before anything is reached through it. */
static void impossible_fields_are_refused(void)
{
    fixture made = check_open(1 << 20);
    fc_session *s = made.session;
    fc_view view;
    CHECK_OK(check_set(&made, "k", "value"));
    fc_key key = check_key(&made, "k");
    fc_block *block = fc_at(s, fc_home_of(s, key.hash)->entries[0] & FC_ENTRY_REF_MASK), good = *block;
    CHECK(fc_view_load(s, block, &view));
    CHECK(view.key_bytes == 1 && view.value_bytes == 5 && view.database == 0 && view.hash == key.hash && view.kind == fc_class_for(56 + 8 + 5));
    uint64_t kind = good.lengths & 63;
    const uint64_t lengths[] = {
        (uint64_t)(FC_KEY_BYTES_MAX + 1) << FC_BLOCK_KEY_SHIFT | kind, UINT64_C(0xFFFFFFFF) << FC_BLOCK_VALUE_SHIFT | kind, UINT64_C(1) << FC_BLOCK_KEY_SHIFT | UINT64_C(20000) << FC_BLOCK_VALUE_SHIFT | kind,
        good.lengths & ~UINT64_C(63), good.lengths | 63, (good.lengths & ~UINT64_C(63)) | FC_KIND_PAGE, (good.lengths & ~UINT64_C(63)) | FC_KIND_BUCKETS, UINT64_MAX,
    };
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        block->lengths = lengths[i];
        if (!CHECK(!fc_view_load(s, block, &view))) fprintf(stderr, "  row %zu\n", i);
    }
    *block = good;
    for (uint64_t flags = 2; flags < 16; flags++) { /* a chain, or flags nobody knows, that the lengths do not ask for */
        block->meta = (good.meta & ~UINT64_C(15)) | flags;
        CHECK(!fc_view_load(s, block, &view));
    }
    *block = good;
    const fc_block *last = fc_at(s, s->size_bytes - FC_BLOCK_BYTES_MIN);
    fc_block *moved = fc_at(s, s->size_bytes - FC_BLOCK_BYTES_MIN);
    *moved = good;
    moved->lengths = UINT64_C(1) << FC_BLOCK_KEY_SHIFT | UINT64_C(500) << FC_BLOCK_VALUE_SHIFT | kind;
    CHECK(!fc_view_load(s, last, &view)); /* it would end behind the arena */
    memset(moved, 0, sizeof *moved);
    check_close(&made);
}

/* V2: a chain whose node is gone, out of the arena, or another value's is not followed. */
static void broken_chains_are_not_followed(void)
{
    fixture made = check_open(2 << 20);
    static char value[100000], got[100000];
    uint64_t bytes;
    fc_key key = check_key(&made, "k");
    CHECK_OK(fc_set(made.session, &key, value, sizeof value, NULL, NULL));
    fc_block *head = fc_at(made.session, fc_home_of(made.session, key.hash)->entries[0] & FC_ENTRY_REF_MASK);
    fc_chain *chain = (fc_chain *)(head + 1);
    fc_node *node = fc_at(made.session, chain->first);
    uint64_t *words[] = {&chain->first, &chain->stamp, &node->stamp, &node->next};
    static const uint64_t wrong[] = {0, 8, 4096, UINT64_MAX, UINT64_MAX - 7, 12345};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        for (size_t j = 0; j < COUNT_OF(wrong); j++) {
            uint64_t good = *words[i];
            *words[i] = wrong[j];
            CHECK_STATUS(FC_CORRUPT, fc_get(made.session, &key, got, sizeof got, &bytes));
            fc_set_options options = {.flags = FC_SET_GET, .old_buffer = got, .old_buffer_bytes = sizeof got};
            CHECK_STATUS(FC_CORRUPT, fc_set(made.session, &key, "v", 1, &options, NULL));
            CHECK_STATUS(FC_CORRUPT, fc_get_delete(made.session, &key, got, sizeof got, &bytes));
            CHECK_STATUS(FC_CORRUPT, fc_append(made.session, &key, "v", 1, &bytes));
            *words[i] = good;
        }
    CHECK_OK(fc_get(made.session, &key, got, sizeof got, &bytes));
    audit_segment(made.session);
    check_close(&made);
}

int main(void)
{
    RUN(every_shape_holds_its_payload);
    RUN(impossible_fields_are_refused);
    RUN(broken_chains_are_not_followed);
    return check_report();
}
