"""A service that names its likeliest classes with their scores, and shows nothing else, is led to chosen wrong answers.

    python examples/unseen_service.py --top 1 --images 4 --radius 0.25 --budget 2000

The service is served here, as serve_model.py does; to attack one of your own, describe it (docs/endpoints.md). The same
from the command line, away from the right answers: saddlepoint attack nes_partial URL --threat linf:0.25 --budget 2000
"""

from __future__ import annotations

import argparse
import threading

import torch
from serve_model import Server

import saddlepoint as sp
from saddlepoint.access.adapters.remote import from_endpoint


def main() -> None:
    """Serve, attack, and say what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--top", type=int, default=1, help="how many classes an answer names")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--radius", type=float, default=0.25, help="in Linf")
    parser.add_argument("--budget", type=int, default=2000, help="questions for each image, at most")
    args = parser.parse_args()
    images = sp.zoo.data.load(f"fashion-mnist-1k[:{args.images}]")
    own = sp.zoo.data.load("fashion-mnist-1k[950:]")  # the attacker's: some of each class
    network = sp.wrap(sp.zoo.load("fashion-standard"))
    with Server(network, images.classes, "top", top=args.top) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        service = from_endpoint(server.url)
        target = (images.y + 1 + torch.arange(len(images)) % 9) % 10
        found = sp.attacks.nes_partial(
            service, images.x, sp.targeted(target), sp.Linf(args.radius), candidates=own.x, budget=args.budget
        )
        names = service.class_names or ()
        for y, t, met, asked in zip(images.y, target, found.met, found.forwards, strict=True):
            print(f"{names[y]} {'->' if met else 'not'} {names[t]} after {int(asked)} questions")
        usage = service.network.usage
        print(f"{usage.asked} questions: {usage.paid} were sent, the server answered {server.seen}")
        server.shutdown()


if __name__ == "__main__":
    main()
