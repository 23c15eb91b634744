/* What Wine 8 lacks of Windows' C library: complex numbers (numpy), and its random numbers (pydantic).
 * Everything else of the C library is passed on to Wine's own, by the .def file that place.py writes. */
#include <complex.h>
#include <math.h>
#include <windows.h>

typedef struct {
    double re, im;
} Double;
typedef struct {
    float re, im;
} Float;

static double complex from_double(Double z) { return __builtin_complex(z.re, z.im); }
static Double to_double(double complex z) { return (Double){creal(z), cimag(z)}; }
static float complex from_float(Float z) { return __builtin_complex(z.re, z.im); }
static Float to_float(float complex z) { return (Float){crealf(z), cimagf(z)}; }

/* Windows' long double is a double. */
#define REAL(name)                                                   \
    double shim_##name(Double z) { return name(from_double(z)); }    \
    double shim_##name##l(Double z) { return name(from_double(z)); } \
    float shim_##name##f(Float z) { return name##f(from_float(z)); }
#define COMPLEX(name)                                                           \
    Double shim_##name(Double z) { return to_double(name(from_double(z))); }    \
    Double shim_##name##l(Double z) { return to_double(name(from_double(z))); } \
    Float shim_##name##f(Float z) { return to_float(name##f(from_float(z))); }

/* clang-format off */
REAL(cabs) REAL(carg) REAL(creal) REAL(cimag)
COMPLEX(cacos) COMPLEX(cacosh) COMPLEX(casin) COMPLEX(casinh) COMPLEX(catan) COMPLEX(catanh)
COMPLEX(ccos) COMPLEX(ccosh) COMPLEX(csin) COMPLEX(csinh) COMPLEX(ctan) COMPLEX(ctanh)
COMPLEX(cexp) COMPLEX(clog) COMPLEX(csqrt) COMPLEX(conj) COMPLEX(cproj)
/* clang-format on */

Double shim_cpow(Double a, Double b) { return to_double(cpow(from_double(a), from_double(b))); }
Double shim_cpowl(Double a, Double b) { return shim_cpow(a, b); }
Float shim_cpowf(Float a, Float b) { return to_float(cpowf(from_float(a), from_float(b))); }

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG size); /* RtlGenRandom */

BOOL WINAPI shim_ProcessPrng(PBYTE buffer, SIZE_T size) { return SystemFunction036(buffer, (ULONG)size); }
