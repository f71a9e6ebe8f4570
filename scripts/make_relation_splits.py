"""Make the shipped splits by relation anew: `kgzsl/datasets/relation_splits/NAME-DIGEST.json`.

python scripts/make_relation_splits.py            # into the package
python scripts/make_relation_splits.py --check    # only say whether they are the shipped ones
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import kgzsl.datasets
from kgzsl.datasets.completion_holdout import PLANS, apply_holdout, make_holdout

FOLDER = Path(kgzsl.datasets.__file__).parent / "relation_splits"


def main() -> int:
    """Write every split, or compare it; return 1 where one is another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    different = 0
    for name, (reader, plan) in PLANS.items():
        whole = reader().read()
        holdout = make_holdout(name, whole, plan)
        made, shipped = FOLDER / holdout.file_name, sorted(FOLDER.glob(f"{name}-*.json"))
        text = json.dumps(holdout.content(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        if [made] != shipped or made.read_text(encoding="utf-8") != text:
            different += 1
            if not args.check:
                for old in shipped:
                    old.unlink()
                FOLDER.mkdir(exist_ok=True)
                made.write_text(text, encoding="utf-8")
        print(made.name, apply_holdout(holdout, whole).counts())
    return int(args.check and different > 0)


if __name__ == "__main__":
    sys.exit(main())
