/* glob.c -- see glob.h.
 *
 * Method      walk pattern and text together; at a star remember both places, and after a mismatch go on behind the last star with one byte of
 *             text more. Only the last star needs to be remembered: what an earlier one could swallow, the last one can, too. So there is no
 *             recursion, and no pattern that takes exponential time.
 */
#include "commands/glob.h"

static uint8_t fold(uint8_t byte, int ignore_case) { return ignore_case && byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 32) : byte; }

/* A class in brackets at `at`, which is behind the '['. Its end goes to *next. An unfinished class ends with the pattern. */
static int class_matches(const uint8_t *pattern, uint64_t bytes, uint64_t at, uint8_t byte, int ignore_case, uint64_t *next)
{
    int is_negated = at < bytes && pattern[at] == '^';
    int found = 0;
    if (is_negated) at++;
    byte = fold(byte, ignore_case);
    while (at < bytes && pattern[at] != ']') {
        if (pattern[at] == '\\' && at + 1 < bytes) {
            at++;
            found |= fold(pattern[at], ignore_case) == byte;
            at++;
        } else if (at + 2 < bytes && pattern[at + 1] == '-') {
            uint8_t first = fold(pattern[at], ignore_case), last = fold(pattern[at + 2], ignore_case);
            if (first > last) {
                uint8_t swapped = first;
                first = last;
                last = swapped;
            }
            found |= byte >= first && byte <= last;
            at += 3;
        } else {
            found |= fold(pattern[at], ignore_case) == byte;
            at++;
        }
    }
    *next = at < bytes ? at + 1 : bytes;
    return found != is_negated;
}

/* Does one element of the pattern at `at`, not a star, take this byte? */
static int element_matches(const uint8_t *pattern, uint64_t bytes, uint64_t at, uint8_t byte, int ignore_case, uint64_t *next)
{
    if (pattern[at] == '[') return class_matches(pattern, bytes, at + 1, byte, ignore_case, next);
    if (pattern[at] == '\\' && at + 1 < bytes) at++;
    else if (pattern[at] == '?') {
        *next = at + 1;
        return 1;
    }
    *next = at + 1;
    return fold(pattern[at], ignore_case) == fold(byte, ignore_case);
}

int fc_glob_matches(const uint8_t *pattern, uint64_t pattern_bytes, const uint8_t *text, uint64_t text_bytes, int ignore_case)
{
    uint64_t at = 0, position = 0, next = 0;
    uint64_t star_at = UINT64_MAX, star_position = 0;
    while (position < text_bytes) {
        if (at < pattern_bytes && pattern[at] == '*') {
            star_at = ++at;
            star_position = position;
        } else if (at < pattern_bytes && element_matches(pattern, pattern_bytes, at, text[position], ignore_case, &next)) {
            at = next;
            position++;
        } else if (star_at != UINT64_MAX) {
            at = star_at;
            position = ++star_position;
        } else {
            return 0;
        }
    }
    while (at < pattern_bytes && pattern[at] == '*') at++;
    return at == pattern_bytes;
}
