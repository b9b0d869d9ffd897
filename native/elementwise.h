/* The codes of the elementwise operations, and their names for Python; included once by core.c. */
enum { MOST_AXES = 64 }; /* as many as NumPy has */

#define OPERATION(inputs, name, value) TA_##name,
#define LOOP(inputs, name) TA_##name,
enum ta_operation {
#include "elementwise_operations.inc"
};
#undef OPERATION
#undef LOOP

#define OPERATION(inputs, name, value) #name,
#define LOOP(inputs, name) #name,
static const char *const ta_operations[] = {
#include "elementwise_operations.inc"
};
#undef OPERATION
#undef LOOP

const char *ta_operation(int code)
{
    return code >= 0 && code < (int)(sizeof ta_operations / sizeof *ta_operations) ? ta_operations[code] : NULL;
}
