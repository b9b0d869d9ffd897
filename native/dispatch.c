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

#if TA_X86
/* 2 for avx512, 1 for avx2, 0 for neither. The processor must have the instructions, and the system
 * must keep the registers. (__builtin_cpu_supports is always 0 where zig is the compiler.) */
static int ta_x86_level(void)
{
    enum { OSXSAVE = 1 << 27, AVX = 1 << 28, FMA = 1 << 12, AVX2 = 1 << 5 };
    enum { KEEPS_YMM = 0x06, KEEPS_ZMM = 0xe6 };
    const unsigned f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    unsigned a, b, c, d, kept, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || ~c & (OSXSAVE | AVX | FMA)) return 0;
    __asm__ volatile("xgetbv" : "=a"(kept), "=d"(high) : "c"(0));
    if (~kept & KEEPS_YMM || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || ~b & AVX2) return 0;
    return ~kept & KEEPS_ZMM || ~b & f_dq_bw_vl ? 1 : 2;
}
#endif

static const struct ta_level *ta_level(void)
{
    const struct ta_level *level = atomic_load_explicit(&ta_current_level, memory_order_acquire);
    if (level) return level;
    int count = 0;
#if TA_X86
    const int best = ta_x86_level();
    if (best >= 2) ta_levels[count++] = (struct ta_level){"avx512", 2};
    if (best >= 1) ta_levels[count++] = (struct ta_level){"avx2", 1};
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
