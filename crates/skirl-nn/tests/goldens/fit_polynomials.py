"""Coefficients of src/simd/math.rs. Needs numpy and scipy; prints f32 values in ascending powers.

Polynomials are fitted for the smallest greatest relative error by Lawson's algorithm: least squares, reweighted by the
error at every node until it is level. Quotients P/Q are fitted the same way after multiplying by Q, divided by the Q of
the round before (Sanathanan and Koerner 1963).
"""

import numpy as np
from scipy.special import erf


def chebyshev_nodes(low, high, count=2000):
    return (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(count) + 0.5) / count)


def fit_polynomial(basis, target, weight, rounds=400):
    """min over c of max |weight (basis c - target)|"""
    lawson, best = np.ones(len(target)), (np.inf, None)
    for _ in range(rounds):
        scale = np.sqrt(lawson) * weight
        c = np.linalg.lstsq(basis * scale[:, None], target * scale, rcond=None)[0]
        error = np.abs((basis @ c - target) * weight)
        best = min(best, (error.max(), list(c)))
        lawson = lawson * (error / error.max() + 1e-12)
        lawson /= lawson.sum()
    return best


def fit_odd_quotient(f, high, p_degree, q_degree, rounds=300, unit_slope=False):
    """f(x) = x P(x²) / Q(x²) on [-high, high], Q(0) = 1; with unit_slope also P(0) = 1"""
    x = chebyshev_nodes(0.0, high, 6000)
    x = x[x > 1e-3]
    g, unit = f(x) / x, (x**2).max()
    fixed = 1.0 if unit_slope else 0.0
    first = int(unit_slope)
    num_p = p_degree + 1 - first
    p_basis = np.vander(x**2 / unit, p_degree + 1, increasing=True)[:, first:]
    q_basis = np.vander(x**2 / unit, q_degree + 1, increasing=True)[:, 1:]
    basis = np.hstack([p_basis, -g[:, None] * q_basis])
    q, lawson, best = np.ones_like(x), np.ones_like(x), (np.inf, None)
    for i in range(rounds):
        scale = np.sqrt(lawson) / np.abs(g * q)
        c = np.linalg.lstsq(basis * scale[:, None], (g - fixed) * scale, rcond=None)[0]
        q = 1 + q_basis @ c[num_p:]
        error = np.abs((fixed + p_basis @ c[:num_p]) / q / g - 1)
        best = min(best, (error.max(), list(c)))
        if i > 20:
            lawson = lawson * (error / error.max() + 1e-9) ** 0.5
            lawson /= lawson.mean()
    error, c = best
    p = [fixed] * first + [c[i] / unit ** (i + first) for i in range(num_p)]
    q = [1.0] + [c[num_p + i] / unit ** (i + 1) for i in range(q_degree)]
    return error, p, q


def monic(error, p, q):
    """The same quotient, with 1 for the highest coefficient of Q."""
    return error, [c / q[-1] for c in p], [c / q[-1] for c in q]


def show(name, error, *coefficients):
    print(f"{name}: relative error {error:.1e}")
    for row in coefficients:
        print("   ", [str(np.float32(c)) for c in row])


r = chebyshev_nodes(-0.3470, 0.3470)
basis = (r**2)[:, None] * np.vander(r, 5, increasing=True)
show("EXP_P", *fit_polynomial(basis, np.expm1(r) - r, 1 / np.exp(r)))

x = chebyshev_nodes(np.sqrt(0.5) - 1, np.sqrt(2) - 1)
basis = (x**3)[:, None] * np.vander(x, 8, increasing=True)
show("LN_P", *fit_polynomial(basis, np.log1p(x) - x + x * x / 2, 1 / np.abs(np.log1p(x))))

show("TANH_P, TANH_Q", *monic(*fit_odd_quotient(np.tanh, 8.4, 4, 4, rounds=400, unit_slope=True)))
show("ERF_P, ERF_Q", *fit_odd_quotient(erf, 4.0, 5, 5))
