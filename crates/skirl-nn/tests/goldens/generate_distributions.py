"""Goldens of skirl-nn's distributions: values and gradients by PyTorch in float64.

Run: python generate_distributions.py     (PyTorch 2.x, CPU; writes distributions.json beside itself)

All numbers that go in are float32 values, so that float32 code starts from exactly the same ones. The gradient is that of
sum(w_logp * logp + w_entropy * entropy + w_kl * KL(old || new)) with respect to the inputs.
"""

import json
import pathlib

import torch
import torch.distributions as D

torch.manual_seed(20260)
torch.set_num_threads(1)
ROWS = 37


def f32(shape, scale=1.0):
    return (torch.randn(shape) * scale).double()


def categorical_kl(old, new):
    """By its definition in log space; PyTorch's own is infinite as soon as a probability rounds to 0 or 1."""
    return (old.probs * (old.logits - new.logits)).sum(-1)


def categorical(sizes, scale):
    def parts(x):
        return [D.Categorical(logits=z) for z in x.split(list(sizes), -1)]

    def evaluate(x, actions, old):
        new, old = parts(x), parts(old)
        logp = sum(d.log_prob(actions[:, i]) for i, d in enumerate(new))
        return logp, sum(d.entropy() for d in new), sum(categorical_kl(o, n) for o, n in zip(old, new))

    inputs, old = f32((ROWS, sum(sizes)), scale), f32((ROWS, sum(sizes)), scale)
    actions = torch.stack([torch.randint(0, n, (ROWS,)) for n in sizes], -1)
    return inputs, old, actions, evaluate


def extreme_categorical():
    inputs, old, actions, evaluate = categorical([5], 1.0)
    inputs[::3] *= 3e3
    inputs[1::3] += 1e4
    inputs[2::3] -= 1e4
    return inputs.float().double(), old, actions, evaluate


def bernoulli(n, scale):
    def evaluate(x, actions, old):
        new, softplus = D.Bernoulli(logits=x), torch.nn.functional.softplus
        ones = old.sigmoid() * (softplus(-x, threshold=1e9) - softplus(-old, threshold=1e9))
        zeros = (-old).sigmoid() * (softplus(x, threshold=1e9) - softplus(old, threshold=1e9))
        return new.log_prob(actions.double()).sum(-1), new.entropy().sum(-1), (ones + zeros).sum(-1)

    return f32((ROWS, n), scale), f32((ROWS, n), scale), torch.randint(0, 2, (ROWS, n)), evaluate


def normal(x):
    mean, log_std = x.chunk(2, -1)
    return D.Normal(mean, log_std.exp())


def gaussian(n, scale):
    def evaluate(x, actions, old):
        new, old = normal(x), normal(old)
        return new.log_prob(actions).sum(-1), new.entropy().sum(-1), D.kl_divergence(old, new).sum(-1)

    return f32((ROWS, 2 * n), scale), f32((ROWS, 2 * n), scale), f32((ROWS, n), 2 * scale), evaluate


def squashed(n, scale):
    tanh = D.TanhTransform()

    def evaluate(x, actions, old):
        new, old = normal(x), normal(old)
        slope = tanh.log_abs_det_jacobian(actions, actions.tanh())
        logp = (new.log_prob(actions) - slope).sum(-1)
        # The entropy's gradient is reparameterised: the noise is what is held fixed.
        noise = ((actions - new.loc) / new.scale).detach()
        u = new.loc + new.scale * noise
        entropy = (new.entropy() + tanh.log_abs_det_jacobian(u, u.tanh())).sum(-1)
        return logp, entropy, D.kl_divergence(old, new).sum(-1)

    # Actions up to 12: tanh rounds to 1 in float32 from 9 on.
    return f32((ROWS, 2 * n), scale), f32((ROWS, 2 * n), scale), f32((ROWS, n), 4.0), evaluate


def case(kind, sizes, made):
    inputs, old, actions, evaluate = made
    weights = [f32((ROWS,)) for _ in range(3)]
    inputs.requires_grad_(True)
    values = evaluate(inputs, actions, old)
    sum((w * v).sum() for w, v in zip(weights, values)).backward()
    flat = lambda t: t.detach().flatten().tolist()
    return {
        "kind": kind, "sizes": sizes, "rows": ROWS, "inputs": flat(inputs), "old_inputs": flat(old),
        "actions": flat(actions), "weights": [flat(w) for w in weights],
        "values": [flat(v) for v in values], "d_inputs": flat(inputs.grad),
    }


cases = [
    case("categorical", [2], categorical([2], 1.0)),
    case("categorical", [7], categorical([7], 3.0)),
    case("categorical", [5], extreme_categorical()),
    case("multi_categorical", [3, 1, 4], categorical([3, 1, 4], 2.0)),
    case("bernoulli", [4], bernoulli(4, 3.0)),
    case("bernoulli", [1], bernoulli(1, 30.0)),
    case("gaussian", [1], gaussian(1, 1.0)),
    case("gaussian", [6], gaussian(6, 1.0)),
    case("squashed", [3], squashed(3, 0.7)),
]
# Standard normal quantiles at odd multiples of 2^-24.
steps = torch.cat([2 ** torch.arange(1, 24), torch.randint(0, 2**23, (300,)) * 2]) + 1
steps = torch.cat([steps, torch.tensor([1]), 2**24 - steps])
u = steps.double() / 2**24
quantiles = {"u": u.tolist(), "z": torch.special.ndtri(u).tolist()}


def rsample(kind, n, scale):
    """Gradient of sum(w_action * action) + sum(w_logp * logp) through the draw, the noise held fixed."""
    inputs, noise = f32((ROWS, 2 * n), scale).requires_grad_(True), f32((ROWS, n))
    mean, log_std = inputs.chunk(2, -1)
    # The stored action is a float32 number; its noise follows from it.
    stored = (mean + log_std.exp() * noise).detach().float().double()
    noise = ((stored - mean) / log_std.exp()).detach()
    u = mean + log_std.exp() * noise
    logp = normal(inputs).log_prob(u)
    if kind == "squashed":
        logp = logp - D.TanhTransform().log_abs_det_jacobian(u, u.tanh())
    action = u.tanh() if kind == "squashed" else u
    weights = f32((ROWS, n)), f32((ROWS,))
    ((weights[0] * action).sum() + (weights[1] * logp.sum(-1)).sum()).backward()
    flat = lambda t: t.detach().flatten().tolist()
    return {
        "kind": kind, "sizes": [n], "inputs": flat(inputs), "actions": flat(stored),
        "d_actions": flat(weights[0]), "d_logp": flat(weights[1]), "d_inputs": flat(inputs.grad),
    }


rsamples = [rsample("gaussian", 2, 0.7), rsample("squashed", 1, 0.7), rsample("squashed", 3, 1.0)]
out = pathlib.Path(__file__).parent / "distributions.json"
goldens = {"torch": torch.__version__, "cases": cases, "rsamples": rsamples, "quantiles": quantiles}
out.write_text(json.dumps(goldens, allow_nan=False))
