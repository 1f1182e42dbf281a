"""Records what Gymnasium draws: pixels of each flat colour and a coarse picture, for states reached by a seed and fixed actions.

    pip install gymnasium pygame
    SDL_VIDEODRIVER=dummy python record.py > pictures.json
"""

import json
import sys

import gymnasium
import numpy

ENVS = {
    "CartPole-v1": [0, 8, 16],
    "Pendulum-v1": [0, 1, 17, 60],
    "MountainCar-v0": [0, 30, 90],
    "MountainCarContinuous-v0": [0, 25, 80],
    "Acrobot-v1": [0, 20, 45],
}
SEEDS = range(2)
WHITE, BLACK = [255, 255, 255], [0, 0, 0]
PALETTES = {
    "CartPole-v1": [WHITE, BLACK, [202, 152, 101], [129, 132, 203]],
    "Pendulum-v1": [WHITE, BLACK, [204, 77, 77]],
    "MountainCar-v0": [WHITE, BLACK, [128, 128, 128], [204, 204, 0]],
    "MountainCarContinuous-v0": [WHITE, BLACK, [128, 128, 128], [204, 204, 0]],
    "Acrobot-v1": [WHITE, BLACK, [0, 204, 204], [204, 204, 0]],
}


def action(env, step):
    """Discrete: each three times in turn. Continuous: -1, -1/2, 0, 1/2, 1 of the range in turn."""
    space = env.action_space
    if hasattr(space, "n"):
        return step // 3 % int(space.n)
    return numpy.array([(step % 5 - 2) / 2 * float(space.high[0])], dtype=numpy.float32)


def pixels(picture, palette):
    """Gives each pixel to the nearest colour, so that shades of edges count half and half."""
    distance = ((picture[:, :, None, :].astype(int) - numpy.array(palette)) ** 2).sum(axis=3)
    nearest = distance.argmin(axis=2)
    return [[color, int((nearest == index).sum())] for index, color in enumerate(palette)]


def blocks(picture):
    """Mean of the three colour parts over blocks of 20 x 20 pixels, row by row, two hexadecimal digits each."""
    height, width, _ = picture.shape
    means = picture.reshape(height // 20, 20, width // 20, 20, 3).mean(axis=(1, 3, 4))
    return "".join(f"{round(mean):02x}" for mean in means.flatten())


def main():
    cases = []
    for name, stops in ENVS.items():
        for seed in SEEDS:
            env = gymnasium.make(name, render_mode="rgb_array", disable_env_checker=True).unwrapped
            env.reset(seed=seed)
            for step in range(max(stops) + 1):
                if step in stops:
                    picture = numpy.asarray(env.render())
                    size = [picture.shape[1], picture.shape[0]]
                    cases.append({"env": name, "seed": seed, "steps": step, "size": size, "pixels": pixels(picture, PALETTES[name]), "blocks": blocks(picture)})
                    if len(sys.argv) > 1:
                        from PIL import Image
                        Image.fromarray(picture).save(f"{sys.argv[1]}/{name}_{seed}_{step}_gymnasium.png")
                if env.step(action(env, step))[2]:
                    break
    print("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]")


main()
