/* Sequences of random numbers: SplitMix64 (Steele, Lea, Flood 2014). Nothing can fail. */
#include "base/random.h"

uint64_t stele__random_next(uint64_t *state)
{
    uint64_t mixed = *state += UINT64_C(0x9E3779B97F4A7C15);

    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ (mixed >> 31);
}

uint64_t stele__random_below(uint64_t *state, uint64_t limit)
{
    return stele__random_next(state) % limit;
}
