"""The inner loop of the depth likelihood: all planes and texture levels in one pass over a window's frequencies.

Compiled by numba, since torch would write each of some 200 x 29 x 9 intermediate numbers of a window to memory: it is
some 18 times as fast. exp2 and log2 are polynomials (relative error below 1e-6), computed for many windows at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numba import njit

LANES = 128  # windows side by side
N_LEVELS = 9  # a constant for the compiler: it unrolls the loops over levels
_LOWEST = np.float32(-120)  # exponent below which a level counts nothing; float32 ends at -126
_TINY = np.float32(1e-30)
_ONE, _HALF, _LN2 = np.float32(1), np.float32(0.5), np.float32(math.log(2))
_BITS = np.int32(23)  # of a float32's mantissa
_ROOT_HALF = np.int32(np.float32(math.sqrt(0.5)).view(np.int32))


def _polynomial(function: Callable, degree: int, low: float, high: float) -> tuple[np.float32, ...]:
    """Coefficients of the polynomial through the function's values at the Chebyshev points."""
    chebyshev = np.polynomial.Chebyshev.interpolate(function, degree, [low, high])
    return tuple(np.float32(c) for c in chebyshev.convert(kind=np.polynomial.Polynomial).coef)


_E0, _E1, _E2, _E3, _E4, _E5 = _polynomial(np.exp2, 5, -0.5, 0.5)
# log2((1 + t) / (1 - t)) / t as a function of t^2; 0.172 is t at sqrt(2)
_L0, _L1, _L2, _L3 = _polynomial(lambda t2: 2 * np.arctanh(np.sqrt(t2)) / np.sqrt(t2) / math.log(2), 3, 1e-9, 0.172**2)


@njit(inline="always", fastmath=True)
def _exp2_of_fraction(x: np.float32) -> np.float32:
    """2^x for x in [-1/2, 1/2]."""
    return ((((_E5 * x + _E4) * x + _E3) * x + _E2) * x + _E1) * x + _E0


@njit(inline="always", fastmath=True)
def _log2_of_mantissa(x: np.float32) -> np.float32:
    """log2(x) for x in [sqrt(1/2), sqrt(2)]."""
    t = (x - _ONE) / (x + _ONE)
    t2 = t * t
    return t * (((_L3 * t2 + _L2) * t2 + _L1) * t2 + _L0)


def _mixed(spectra, used, table, mixture, pairs, score):  # type: ignore[no-untyped-def]  # numba compiles no annotations
    """Fills `score` [P, W] with each plane's log-likelihood in each window, at its best texture level.

    spectra: complex64 [C, W, M], the channels' spectra of W windows, of which the frequencies `used` [F] are looked at.
    table: [P, F, levels, C^2 + 1], whose product with a frequency's features is its log2-likelihood: the channels'
    powers, then real and imaginary parts of each pair's conj(first) * second, then 1. mixture: [levels of a window,
    levels of a frequency], summing to 1 over the second. pairs: [F], 1 or 1/2 (see likelihood.py). All float32.

    Sums of logarithms are taken as logarithms of products of four, split into mantissa and exponent by their bits.
    """
    n_channels, n_windows, _ = spectra.shape
    n_planes, n_frequencies, _, n_features = table.shape
    features = np.ones((n_frequencies, n_features, LANES), np.float32)
    each = np.empty((N_LEVELS, LANES), np.float32)
    product = np.empty((N_LEVELS, LANES), np.float32)
    total = np.empty((N_LEVELS, LANES), np.float32)
    largest, largest_total = np.empty(LANES, np.float32), np.empty(LANES, np.float64)  # some thousand: rounding adds up
    each_bits, product_bits = each.view(np.int32), product.view(np.int32)
    for begin in range(0, n_windows, LANES):
        n_here = min(LANES, n_windows - begin)  # other lanes compute with what they held before
        for j in range(n_here):
            for i in range(n_frequencies):
                f = used[i]
                k = n_channels
                for one in range(n_channels):
                    first = spectra[one, begin + j, f]
                    features[i, one, j] = first.real * first.real + first.imag * first.imag
                    for other in range(one + 1, n_channels):
                        second = spectra[other, begin + j, f]
                        features[i, k, j] = first.real * second.real + first.imag * second.imag
                        features[i, k + 1, j] = first.real * second.imag - first.imag * second.real
                        k += 2
        for plane in range(n_planes):
            total[:] = 0
            largest_total[:] = 0
            product[:] = 1
            for f in range(n_frequencies):
                x = features[f]
                for level in range(N_LEVELS):
                    w = table[plane, f, level]
                    for j in range(LANES):
                        each[level, j] = w[n_features - 1]
                    for k in range(n_features - 1):
                        for j in range(LANES):
                            each[level, j] += x[k, j] * w[k]
                for j in range(LANES):
                    largest[j] = each[0, j]
                for level in range(1, N_LEVELS):
                    for j in range(LANES):
                        largest[j] = max(largest[j], each[level, j])
                for j in range(LANES):
                    largest_total[j] += largest[j] * pairs[f]
                for level in range(N_LEVELS):
                    for j in range(LANES):
                        exponent = max(each[level, j] - largest[j], _LOWEST)
                        whole = np.int32(exponent - _HALF)  # to the nearest: it is negative
                        each[level, j] = _exp2_of_fraction(exponent - np.float32(whole))
                        each_bits[level, j] += whole << _BITS
                own_mirror = pairs[f] < 1
                for level in range(N_LEVELS):
                    for j in range(LANES):
                        likelihood = _TINY
                        for other in range(N_LEVELS):
                            likelihood += each[other, j] * mixture[level, other]
                        if own_mirror:
                            likelihood = np.sqrt(likelihood)
                        product[level, j] *= likelihood
                if f % 4 == 3 or f == n_frequencies - 1:
                    for level in range(N_LEVELS):
                        for j in range(LANES):
                            bits = product_bits[level, j]
                            exponent_bits = (bits - _ROOT_HALF) >> _BITS
                            product_bits[level, j] = bits - (exponent_bits << _BITS)
                            total[level, j] += _log2_of_mantissa(product[level, j]) + np.float32(exponent_bits)
                            product[level, j] = _ONE
            for j in range(n_here):
                best = total[0, j]
                for level in range(1, N_LEVELS):
                    best = max(best, total[level, j])
                score[plane, begin + j] = (best + largest_total[j]) * _LN2


_compiled = partial(njit, nogil=True, fastmath=True, error_model="numpy")
try:
    mixed = _compiled(cache=True)(_mixed)
except RuntimeError:  # there is no folder to keep it in: every process compiles it anew, two seconds
    mixed = _compiled()(_mixed)
