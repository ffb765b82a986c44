"""Pictures of each page in both themes and widths, to be looked at: ``python -m tests.console.shots [--only TEXT] [--out DIR]``."""

import argparse
import tempfile
from pathlib import Path

from tests.console.browser import DESKTOP, PHONE, Browser
from tests.console.pages import PAGES, named
from tests.console.scene import Scene

OUT = Path(__file__).parents[2] / "var" / "console-shots"
DOCS = Path(__file__).parents[2] / "docs" / "console"
IN_DOCS = ("overview", "converter", "dead-letters")
"""Those that the documents show."""


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--only", default="", help="a text in the names of pages")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--theme", choices=["light", "dark"])
    parser.add_argument("--width", choices=["desktop", "phone"])
    parser.add_argument("--docs", action="store_true", help="only those of the documents, into docs/console")
    options = parser.parse_args()
    if options.docs:
        options.out, options.theme, options.width = DOCS, "light", "desktop"
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Scene(Path(folder)) as scene, Browser() as browser:
        scene.furnish()
        scene.live()
        scene.settled()
        for theme in ("light", "dark"):
            for width, size in (("desktop", DESKTOP), ("phone", PHONE)):
                if options.theme not in (None, theme) or options.width not in (None, width):
                    continue
                with browser.visitor(scene.gateway, size, theme) as visitor:
                    visitor.sign_in()
                    for name, where in PAGES.items():
                        if options.only in name and (not options.docs or name in IN_DOCS):
                            visitor.open(named(where, scene))
                            target = options.out / (
                                f"{name}.png" if options.docs else f"{name}-{theme}-{width}.png"
                            )
                            visitor.page.screenshot(path=target, full_page=not options.docs)
                            print(target, *visitor.complaints)
                            visitor.complaints.clear()


if __name__ == "__main__":
    main()
