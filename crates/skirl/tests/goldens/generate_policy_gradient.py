"""Writes policy_gradient.safetensors: gradients of the loss of A2C and PG, and weights after 40 updates, in PyTorch f64.

Run with PyTorch 2.x and NumPy: python generate_policy_gradient.py. Every input is stored as the f32 (or integer) that
skirl gets; every result is f64. The rules are those of src/algo/on_policy/loss.rs and learner.rs, written anew from the
papers. Networks, distributions and batches are those of generate_ppo.py.
"""

import pathlib

import numpy as np
import torch

from generate_ppo import DISTS, forward, init_weights, make_batch, pick, store, store_batch, write

# PG has no value function: its networks have no `vf`.
COEFFICIENTS = [
    {"vf_loss_coeff": 0.5, "entropy_coeff": 0.01},
    {"vf_loss_coeff": 1.5, "entropy_coeff": 0.0},
    {"vf_loss_coeff": None, "entropy_coeff": 0.02},
    {"vf_loss_coeff": None, "entropy_coeff": 0.0},
]


def means(dist, weights, batch, c):
    """Policy loss, entropy and, with a value function, value loss."""
    new = dist(forward(weights, "pi", batch["obs"]))
    parts = [-(new.logp(batch["actions"]) * batch["advantages"]).mean(), new.entropy().mean()]
    if c["vf_loss_coeff"] is not None:
        error = forward(weights, "vf", batch["obs"])[:, 0] - batch["value_targets"]
        parts.append(0.5 * (error**2).mean())
    return parts


def total(parts, c):
    value = c["vf_loss_coeff"] * parts[2] if len(parts) > 2 else 0.0
    return parts[0] + value - c["entropy_coeff"] * parts[1]


def own(weights, c):
    return {name: w for name, w in weights.items() if c["vf_loss_coeff"] is not None or name.startswith("pi")}


def loss_goldens():
    rng = np.random.default_rng(11)
    for name, dist in DISTS.items():
        weights = init_weights(rng, dist.width)
        batch = make_batch(rng, dist, weights, 100, 0.0)
        for tensor, values in weights.items():
            store(f"loss/{name}/weights/{tensor}", values.numpy().astype(np.float32))
        store_batch(f"loss/{name}/batch", batch)
        for index, c in enumerate(COEFFICIENTS):
            leaves = {tensor: values.clone().requires_grad_() for tensor, values in own(weights, c).items()}
            parts = means(dist, leaves, batch, c)
            total(parts, c).backward()
            for tensor, leaf in leaves.items():
                store(f"loss/{name}/{index}/gradient/{tensor}", leaf.grad.numpy())
            store(f"loss/{name}/{index}/stats", np.array([float(part.detach()) for part in parts]))


def training_golden(algorithm, name, seed, c, make_optimizer, clip):
    """40 updates with one step each, over four batches of 40 rows in turn; the learning rate falls."""
    dist = DISTS[name]
    rng = np.random.default_rng(seed)
    both = init_weights(rng, dist.width)
    batch = make_batch(rng, dist, both, 160, 0.0)
    weights = own(both, c)
    for tensor, values in weights.items():
        store(f"train/{algorithm}/weights/{tensor}", values.numpy().astype(np.float32))
    store_batch(f"train/{algorithm}/batch", batch)
    leaves = {tensor: values.clone().requires_grad_() for tensor, values in weights.items()}
    optimizer = make_optimizer(leaves.values())
    for update in range(40):
        optimizer.param_groups[0]["lr"] = 1e-2 + update / 40 * (1e-3 - 1e-2)
        rows = pick(batch, slice(40 * (update % 4), 40 * (update % 4) + 40))
        optimizer.zero_grad()
        parts = means(dist, leaves, rows, c)
        total(parts, c).backward()
        norm = float(torch.nn.utils.clip_grad_norm_(leaves.values(), clip))
        optimizer.step()
    print(algorithm, "last norm", norm, "total", float(total(parts, c).detach()))
    for tensor, leaf in leaves.items():
        store(f"train/{algorithm}/result/{tensor}", leaf.detach().numpy())


if __name__ == "__main__":
    loss_goldens()
    training_golden("a2c", "categorical", 12, {"vf_loss_coeff": 0.5, "entropy_coeff": 0.01},
                    lambda p: torch.optim.RMSprop(p, alpha=0.97, eps=1e-5), 0.5)
    training_golden("pg", "categorical", 13, {"vf_loss_coeff": None, "entropy_coeff": 0.0},
                    lambda p: torch.optim.Adam(p), 1.0)
    write(pathlib.Path(__file__).with_name("policy_gradient.safetensors"))
