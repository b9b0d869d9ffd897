/* The choice of a level, and the entry points that Python calls: each goes to the version of its kernel
 * that was compiled for the level in use. build.py writes one ENTRY line for every kernel and type. */

struct ta_level {
    const char *name;
    int number; /* its place in the tables below */
};

/* The levels of this processor, the best first. The first caller fills the table. Several first callers
 * at once write the same. */
static struct ta_level ta_levels[4];
static _Atomic(const struct ta_level *) ta_current_level;

static const struct ta_level *ta_level(void)
{
    const struct ta_level *level = atomic_load_explicit(&ta_current_level, memory_order_acquire);
    if (level) return level;
    int count = 0;
#if TA_X86
    __builtin_cpu_init();
    int fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (fma && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        ta_levels[count++] = (struct ta_level){"avx512", 2};
    if (fma) ta_levels[count++] = (struct ta_level){"avx2", 1};
#endif
    ta_levels[count] = (struct ta_level){"baseline", 0};
    atomic_store_explicit(&ta_current_level, &ta_levels[0], memory_order_release);
    return &ta_levels[0];
}

const char *ta_isa(void) { return ta_level()->name; }

const char *ta_isa_supported(int index)
{
    ta_level();
    return index >= 0 && index < 3 ? ta_levels[index].name : NULL;
}

int ta_set_isa(const char *name)
{
    ta_level();
    for (int i = 0; i < 3 && ta_levels[i].name; i++)
        if (!strcmp(ta_levels[i].name, name)) {
            atomic_store(&ta_current_level, &ta_levels[i]);
            return 0;
        }
    return 1;
}

#if TA_X86
#define VERSIONS(name, type) {name##_##type##_baseline, name##_##type##_avx2, name##_##type##_avx512}
#else
#define VERSIONS(name, type) {name##_##type##_baseline}
#endif
#define ENTRY(name, type, parameters, arguments)                          \
    int ta_##name##_##type parameters                                     \
    {                                                                     \
        static int (*const versions[]) parameters = VERSIONS(name, type); \
        return versions[ta_level()->number] arguments;                    \
    }
#define ENTRY_F32(name, parameters, arguments) ENTRY(name, f32, parameters, arguments)
#define ENTRY_F64(name, parameters, arguments) ENTRY(name, f64, parameters, arguments)
