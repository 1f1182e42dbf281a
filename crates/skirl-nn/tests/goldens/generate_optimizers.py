"""Goldens of skirl-nn's optimizers: parameters after 1, 10, 100 and 1000 steps by PyTorch, in float64 and float32.

Run: python generate_optimizers.py     (PyTorch 2.x, CPU; writes optimizers.json beside itself)

Parameters and gradients come from a small integer generator that the Rust test repeats exactly. Gradients of different
elements differ in size by up to 1e8, so that the place of epsilon shows. The learning rate falls linearly to 0 over the 1000 steps.
"""

import json
import pathlib

import torch

torch.set_num_threads(1)
SIZE, STEPS, KEEP = 37, 1000, (1, 10, 100, 1000)
TENSORS = [(0, 16), (16, 17), (17, 37)]


class Numbers:
    """x' = 1103515245 x + 12345 mod 2^31; the top 16 bits make a number in [-1, 1), exact in float32."""

    def __init__(self):
        self.state = 1

    def next(self):
        self.state = (1103515245 * self.state + 12345) % 2**31
        return (self.state >> 15) / 2**15 - 1

    def vector(self, scale):
        return torch.tensor([self.next() for _ in range(SIZE)], dtype=torch.float64) * scale


SCALE = torch.tensor([2.0 ** (-(i % 9) * 3) for i in range(SIZE)], dtype=torch.float64)


def rllib_clip_by_norm(parts, limit):
    for p in parts:
        norm = p.grad.norm(2)
        if norm > limit:
            p.grad *= limit / norm


CLIPS = {
    "none": lambda parts: None,
    "value": lambda parts: torch.nn.utils.clip_grad_value_(parts, 0.3),
    "norm": lambda parts: rllib_clip_by_norm(parts, 0.5),
    "global_norm": lambda parts: torch.nn.utils.clip_grad_norm_(parts, 0.5, foreach=False),
}


def run(make, lr, clip, dtype):
    numbers = Numbers()
    start = numbers.vector(1.0)
    parts = [start[a:b].to(dtype).clone().requires_grad_(True) for a, b in TENSORS]
    optimizer = make(parts, lr)
    kept = []
    for step in range(STEPS):
        grad = numbers.vector(SCALE).to(dtype)
        for (a, b), p in zip(TENSORS, parts):
            p.grad = grad[a:b].clone()
        CLIPS[clip](parts)
        optimizer.param_groups[0]["lr"] = lr * (1 - step / STEPS)
        optimizer.step()
        if step + 1 in KEEP:
            kept.append(torch.cat(parts).detach().double().tolist())
    return kept


O = torch.optim
CASES = [
    ("adam", {}, "none", 1e-2, lambda p, lr: O.Adam(p, lr, foreach=False)),
    ("adam", {"weight_decay": 0.1, "eps": 1e-5, "beta1": 0.8}, "none", 1e-2,
     lambda p, lr: O.Adam(p, lr, betas=(0.8, 0.999), eps=1e-5, weight_decay=0.1, foreach=False)),
    ("adam", {}, "value", 1e-2, lambda p, lr: O.Adam(p, lr, foreach=False)),
    ("adam", {}, "norm", 1e-2, lambda p, lr: O.Adam(p, lr, foreach=False)),
    ("adam", {}, "global_norm", 1e-2, lambda p, lr: O.Adam(p, lr, foreach=False)),
    ("adamw", {"weight_decay": 0.05}, "none", 1e-2, lambda p, lr: O.AdamW(p, lr, weight_decay=0.05, foreach=False)),
    ("rmsprop", {}, "none", 1e-3, lambda p, lr: O.RMSprop(p, lr, foreach=False)),
    ("rmsprop", {"alpha": 0.9, "eps": 1e-5, "momentum": 0.7, "weight_decay": 0.02}, "none", 1e-3,
     lambda p, lr: O.RMSprop(p, lr, alpha=0.9, eps=1e-5, momentum=0.7, weight_decay=0.02, foreach=False)),
    ("sgd", {}, "none", 1e-1, lambda p, lr: O.SGD(p, lr, foreach=False)),
    ("sgd", {"momentum": 0.9, "weight_decay": 0.01}, "global_norm", 1e-1,
     lambda p, lr: O.SGD(p, lr, momentum=0.9, weight_decay=0.01, foreach=False)),
    ("sgd", {"momentum": 0.9, "nesterov": True}, "none", 1e-1,
     lambda p, lr: O.SGD(p, lr, momentum=0.9, nesterov=True, foreach=False)),
]
cases = [
    {"kind": kind, "options": options, "clip": clip, "lr": lr,
     "f64": run(make, lr, clip, torch.float64), "f32": run(make, lr, clip, torch.float32)[-1:]}
    for kind, options, clip, lr, make in CASES
]
out = pathlib.Path(__file__).parent / "optimizers.json"
out.write_text(json.dumps({"torch": torch.__version__, "cases": cases}, allow_nan=False))
