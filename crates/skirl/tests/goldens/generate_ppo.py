"""Writes ppo.safetensors: gradients of the PPO loss and the weights after 100 minibatch steps, in PyTorch f64.

Run with PyTorch 2.x and NumPy: python generate_ppo.py. Every input is stored as the f32 (or integer) that skirl gets;
every result is f64. The rules are those of src/algo/ppo/loss.rs and update.rs, written anew from the papers and from
what RLlib, SB3 and CleanRL document.
"""

import json
import pathlib
import struct

import numpy as np
import torch

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
OBS, HIDDEN = 5, (16, 16)
out = {}


def store(name, value):
    out[name] = np.ascontiguousarray(value)


def f32(value):
    """What f32 makes of it, as f64."""
    return torch.as_tensor(np.asarray(value, dtype=np.float32).astype(np.float64))


def init_weights(rng, dist_width):
    weights = {}
    for net, last in (("pi", dist_width), ("vf", 1)):
        sizes = (OBS, *HIDDEN, last)
        for layer, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
            scale = 0.5 if net == "pi" and layer == 2 else 1.0
            weights[f"{net}.{layer}.weight"] = f32(rng.normal(size=(outputs, inputs)) * scale / np.sqrt(inputs))
            weights[f"{net}.{layer}.bias"] = f32(rng.normal(size=outputs) * 0.1)
    return weights


def forward(weights, net, obs):
    x = obs
    for layer in range(3):
        x = x @ weights[f"{net}.{layer}.weight"].T + weights[f"{net}.{layer}.bias"]
        x = torch.tanh(x) if layer < 2 else x
    return x


class Categorical:
    width = 4

    def __init__(self, inputs):
        self.dist = torch.distributions.Categorical(logits=inputs)

    @staticmethod
    def draw(rng, inputs):
        return torch.stack([torch.as_tensor(rng.choice(4, p=p.numpy())) for p in torch.softmax(inputs, -1)])[:, None]

    def logp(self, actions):
        return self.dist.log_prob(actions[:, 0])

    def entropy(self):
        return self.dist.entropy()

    def kl_to(self, new):
        return torch.distributions.kl_divergence(self.dist, new.dist)


class Gaussian:
    width = 4

    def __init__(self, inputs):
        mean, log_std = inputs.chunk(2, -1)
        self.dist = torch.distributions.Independent(torch.distributions.Normal(mean, log_std.exp()), 1)

    @staticmethod
    def draw(rng, inputs):
        mean, log_std = inputs.chunk(2, -1)
        return f32((mean + log_std.exp() * torch.as_tensor(rng.normal(size=mean.shape))).numpy())

    logp = lambda self, actions: self.dist.log_prob(actions)
    entropy = lambda self: self.dist.entropy()
    kl_to = lambda self, new: torch.distributions.kl_divergence(self.dist, new.dist)


class MultiCategorical:
    width = 5  # sizes 3 and 2

    def __init__(self, inputs):
        self.dists = [torch.distributions.Categorical(logits=part) for part in inputs.split([3, 2], -1)]

    @staticmethod
    def draw(rng, inputs):
        columns = []
        for part in inputs.split([3, 2], -1):
            p = torch.softmax(part, -1).numpy()
            columns.append(torch.as_tensor([rng.choice(len(row), p=row) for row in p]))
        return torch.stack(columns, -1)

    def logp(self, actions):
        return sum(dist.log_prob(actions[:, i]) for i, dist in enumerate(self.dists))

    def entropy(self):
        return sum(dist.entropy() for dist in self.dists)

    def kl_to(self, new):
        return sum(torch.distributions.kl_divergence(a, b) for a, b in zip(self.dists, new.dists))


class Bernoulli:
    width = 3

    def __init__(self, inputs):
        self.dist = torch.distributions.Independent(torch.distributions.Bernoulli(logits=inputs), 1)

    @staticmethod
    def draw(rng, inputs):
        return torch.as_tensor(rng.random(inputs.shape) < torch.sigmoid(inputs).numpy()).to(torch.int64)

    def logp(self, actions):
        return self.dist.log_prob(actions.to(torch.float64))

    entropy = lambda self: self.dist.entropy()
    kl_to = lambda self, new: torch.distributions.kl_divergence(self.dist, new.dist)


DISTS = {"categorical": Categorical, "gaussian": Gaussian, "multi_categorical": MultiCategorical, "bernoulli": Bernoulli}


def make_batch(rng, dist, weights, rows, shift):
    obs = f32(rng.normal(size=(rows, OBS)))
    new = forward(weights, "pi", obs)
    dist_inputs = f32((new + shift * torch.as_tensor(rng.normal(size=new.shape))).numpy())
    actions = dist.draw(rng, dist_inputs)
    logp = f32(dist(dist_inputs).logp(actions).numpy())
    values = f32((forward(weights, "vf", obs)[:, 0] + 0.4 * torch.as_tensor(rng.normal(size=rows))).numpy())
    targets = f32((values + 0.8 * torch.as_tensor(rng.normal(size=rows))).numpy())
    return {
        "obs": obs, "dist_inputs": dist_inputs, "actions": actions, "logp": logp, "values": values,
        "value_targets": targets, "advantages": f32(rng.normal(size=rows) * 1.5 + 0.3),
    }


def row_losses(dist, weights, batch, c):
    """Policy loss, value loss, entropy and KL of each row, and the distances to the kinks."""
    new = dist(forward(weights, "pi", batch["obs"]))
    ratio = torch.exp(new.logp(batch["actions"]) - batch["logp"])
    adv = batch["advantages"]
    policy = -torch.min(ratio * adv, ratio.clamp(1 - c["clip_param"], 1 + c["clip_param"]) * adv)
    value = forward(weights, "vf", batch["obs"])[:, 0]
    vf = (value - batch["value_targets"]) ** 2
    kinks = [ratio - (1 - c["clip_param"]), ratio - (1 + c["clip_param"])]
    if c.get("clip_range_vf"):
        bound = c["clip_range_vf"]
        clipped = batch["values"] + (value - batch["values"]).clamp(-bound, bound)
        other = (clipped - batch["value_targets"]) ** 2
        kinks += [(value - batch["values"]).abs() - bound, torch.where(other == vf, torch.ones(()), other - vf)]
        vf = torch.max(vf, other)
    if c.get("vf_clip_param"):
        kinks.append(vf - c["vf_clip_param"])
        vf = vf.clamp(max=c["vf_clip_param"])
    kl = dist(batch["dist_inputs"]).kl_to(new)
    return policy, vf, new.entropy(), kl, ratio, torch.stack(kinks).abs().min(0).values


def total(losses, c):
    policy, vf, entropy, kl = (part.mean() for part in losses[:4])
    vf_coeff = c["vf_loss_coeff"] if c.get("use_critic", True) else 0.0
    return policy + vf_coeff * vf - c["entropy_coeff"] * entropy + c["kl_coeff"] * kl


COEFFICIENTS = [
    {"clip_param": 0.2, "vf_loss_coeff": 0.5, "entropy_coeff": 0.0, "kl_coeff": 0.0},
    {"clip_param": 0.3, "vf_loss_coeff": 1.0, "entropy_coeff": 0.01, "kl_coeff": 0.0, "vf_clip_param": 0.5},
    {"clip_param": 0.1, "vf_loss_coeff": 0.5, "entropy_coeff": 0.02, "kl_coeff": 0.3, "clip_range_vf": 0.3},
    {"clip_param": 0.2, "vf_loss_coeff": 0.5, "entropy_coeff": 0.01, "kl_coeff": 0.2, "use_critic": False},
]


def store_batch(name, batch):
    for column, values in batch.items():
        integer = values.dtype == torch.int64
        store(f"{name}/{column}", values.numpy().astype(np.int64 if integer else np.float32))


def pick(batch, rows):
    return {column: values[rows] for column, values in batch.items()}


def loss_goldens():
    rng = np.random.default_rng(1)
    for name, dist in DISTS.items():
        weights = init_weights(rng, dist.width)
        batch = make_batch(rng, dist, weights, 200, 0.35)
        distance = torch.stack([row_losses(dist, weights, batch, c)[5] for c in COEFFICIENTS]).min(0).values
        batch = pick(batch, torch.nonzero(distance > 1e-3)[:100, 0])
        assert len(batch["logp"]) == 100
        for tensor, values in weights.items():
            store(f"loss/{name}/weights/{tensor}", values.numpy().astype(np.float32))
        store_batch(f"loss/{name}/batch", batch)
        for index, c in enumerate(COEFFICIENTS):
            leaves = {tensor: values.clone().requires_grad_() for tensor, values in weights.items()}
            losses = row_losses(dist, leaves, batch, c)
            total(losses, c).backward()
            for tensor, leaf in leaves.items():
                grad = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
                store(f"loss/{name}/{index}/gradient/{tensor}", grad.numpy())
            ratio = losses[4].detach()
            clipped = ((ratio - 1).abs() > c["clip_param"]).to(torch.float64)
            unclipped = (forward(weights, "vf", batch["obs"])[:, 0] - batch["value_targets"]) ** 2
            kl = losses[3] if c["kl_coeff"] else torch.zeros_like(ratio)
            stats = [losses[0], losses[1], unclipped, losses[2], kl, clipped, ratio - 1 - ratio.log()]
            assert 0.1 < clipped.mean() < 0.9
            store(f"loss/{name}/{index}/stats", np.array([part.detach().mean() for part in stats]))


def training_golden(name, dist, seed, c, standardize):
    """25 updates of one epoch each over the same 500 rows in a new order; minibatches of 128, the last of 116."""
    rng = np.random.default_rng(seed)
    weights = init_weights(rng, dist.width)
    batch = make_batch(rng, dist, weights, 500, 0.05)
    permutations = np.stack([rng.permutation(500) for _ in range(25)])
    for tensor, values in weights.items():
        store(f"train/{name}/weights/{tensor}", values.numpy().astype(np.float32))
    store_batch(f"train/{name}/batch", batch)
    store(f"train/{name}/permutations", permutations.astype(np.uint32))
    leaves = {tensor: values.clone().requires_grad_() for tensor, values in weights.items()}
    adam = torch.optim.Adam(leaves.values(), eps=1e-5)
    kl_coeff, steps, norms, clips = 0.2, 0, [], []
    for epoch, permutation in enumerate(permutations):
        progress = epoch / 25
        adam.param_groups[0]["lr"] = 2e-3 + progress * (2e-4 - 2e-3)
        rules = dict(c, kl_coeff=kl_coeff, clip_param=0.2 + progress * (0.1 - 0.2))
        shuffled = pick(batch, torch.as_tensor(permutation))
        if standardize == "batch":
            adv = shuffled["advantages"]
            shuffled["advantages"] = (adv - adv.mean()) / max(adv.std(correction=0), 1e-4)
        kl_sum = 0.0
        for start in range(0, 500, 128):
            rows = pick(shuffled, slice(start, start + 128))
            if standardize == "minibatch":
                adv = rows["advantages"]
                rows["advantages"] = (adv - adv.mean()) / (adv.std() + 1e-8)
            adam.zero_grad()
            losses = row_losses(dist, leaves, rows, rules)
            total(losses, rules).backward()
            norms.append(float(torch.nn.utils.clip_grad_norm_(leaves.values(), 0.2)))
            clips.append(float(((losses[4] - 1).abs() > rules["clip_param"]).to(torch.float64).mean()))
            adam.step()
            kl_sum += float(losses[3].detach().sum())
            steps += 1
        kl = kl_sum / 500
        kl_coeff *= 1.5 if kl > 0.02 else 0.5 if kl < 0.005 else 1.0
    assert steps == 100
    print(name, "kl_coeff", kl_coeff, "norms", min(norms), max(norms), "clipped", max(clips), "last kl", kl)
    store(f"train/{name}/kl_coeff", np.array([kl_coeff]))
    for tensor, leaf in leaves.items():
        store(f"train/{name}/result/{tensor}", leaf.detach().numpy())


def write(path):
    names = {"float32": "F32", "float64": "F64", "int64": "I64", "uint32": "U32"}
    header, offset = {}, 0
    for name, array in sorted(out.items()):
        header[name] = {"dtype": names[str(array.dtype)], "shape": list(array.shape),
                        "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    data = b"".join(array.tobytes() for _, array in sorted(out.items()))
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    loss_goldens()
    training_golden("categorical", Categorical, 2, {"vf_loss_coeff": 0.5, "entropy_coeff": 0.01, "vf_clip_param": 1.0}, "batch")
    training_golden("gaussian", Gaussian, 3, {"vf_loss_coeff": 0.7, "entropy_coeff": 0.02, "clip_range_vf": 0.4}, "minibatch")
    write(pathlib.Path(__file__).with_name("ppo.safetensors"))
