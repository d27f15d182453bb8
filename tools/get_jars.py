"""Put the jars that Spark reads and writes Delta tables with beside those of pyspark, as tools/jars.lock pins them.

Users need none of it: a session that finds no such jar asks `spark.jars.packages` for the same ones.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path
from urllib.request import urlopen

CENTRAL = "https://repo.maven.apache.org/maven2"
LOCK = Path(__file__).with_name("jars.lock")


def main() -> None:
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        sys.exit("pyspark is not installed: run `make services`.")
    folder = Path(spec.origin).with_name("jars")
    for line in LOCK.read_text(encoding="utf-8").splitlines():
        digest, coordinates = line.split()
        group, artifact, version = coordinates.split(":")
        name = f"{artifact}-{version}.jar"
        if not (folder / name).exists() or told(folder / name) != digest:
            fetch(f"{CENTRAL}/{group.replace('.', '/')}/{artifact}/{version}/{name}", digest, folder / name)


def fetch(url: str, digest: str, to: Path) -> None:
    """Nothing is kept that is not what was pinned."""
    with urlopen(url, timeout=120) as answer:  # of one address, which is written above
        content = answer.read()
    if hashlib.sha256(content).hexdigest() != digest:
        sys.exit(f"{url} is not what {LOCK.name} pins, and was not kept.")
    part = to.with_suffix(".part")
    part.write_bytes(content)
    part.replace(to)


def told(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
