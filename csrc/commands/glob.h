/* glob.h -- Redis's patterns: * ? [abc] [a-z] [^a] \x. For KEYS, SCAN, CONFIG GET, COMMAND LIST. */
#ifndef FC_COMMANDS_GLOB_H
#define FC_COMMANDS_GLOB_H

#include <stdint.h>

/* 1 if all of the text fits the pattern. Cost: pattern times text at worst, however many stars there are. */
int fc_glob_matches(const uint8_t *pattern, uint64_t pattern_bytes, const uint8_t *text, uint64_t text_bytes, int ignore_case);

#endif
