"""Comparison of two folders of screenshots: what is new, gone or changed, and where."""

from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageChops

LEAST = 12  # of 255: a smaller difference of a pixel is that of smoothed letters
# Up to so many pixels that differ by less than this are round corners, which Chromium does not draw
# the same each time.
FEW, FAINT = 200, 64
MARK = (230, 0, 90)


@dataclass(slots=True)
class Comparison:
    """The pictures, by name, that differ between an earlier release and now."""

    new: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    changed: dict[str, float] = field(default_factory=dict)  # share of the pixels, 0 to 1
    same: int = 0

    def lines(self) -> list[str]:
        """A line for each page that differs, the pictures of a page together."""
        pages: dict[str, list[str]] = {}
        for name, share in self.changed.items():
            page, width, scheme = name.removesuffix(".png").rsplit("-", 2)
            pages.setdefault(page, []).append(f"{width} {scheme} {share:.1%}")
        told = [f"changed  {page}: {', '.join(found)}" for page, found in sorted(pages.items())]
        told += [f"new      {name}" for name in self.new]
        told += [f"gone     {name}" for name in self.gone]
        counts = f"{len(self.changed)} changed, {len(self.new)} new, {len(self.gone)} gone"
        return [*told, f"{counts}, {self.same} the same"]


def compare(before: Path, now: Path, differences: Path) -> Comparison:
    """Compare all pictures below two folders, by name.

    Writes a picture for each that changed into ``differences``: before, now, and now with what
    differs in red, side by side.
    """
    old, new = _pictures(before), _pictures(now)
    found = Comparison(new=sorted(new - old), gone=sorted(old - new))
    for name in sorted(old & new):
        with Image.open(before / name) as one, Image.open(now / name) as other:
            share = _difference(one.convert("RGB"), other.convert("RGB"), differences / name)
        if share:
            found.changed[name] = share
        else:
            found.same += 1
    return found


def _pictures(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}


def _difference(before: Image.Image, now: Image.Image, file: Path) -> float:
    """The share of the pixels that differ; if there are any, a picture of them is written."""
    size = (max(before.width, now.width), max(before.height, now.height))
    one, other = (_padded(each, size) for each in (before, now))
    red, green, blue = ImageChops.difference(one, other).split()
    most = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    mask = most.point(lambda value: 255 if value >= LEAST else 0)
    differing = mask.histogram()[255]
    if differing <= FEW and not any(most.histogram()[FAINT:]):
        differing = 0
    if not differing and before.size == now.size:
        return 0.0
    marked = Image.blend(other, Image.new("RGB", size, "white"), 0.6)
    marked.paste(MARK, mask=mask)
    whole = Image.new("RGB", (size[0] * 3, size[1]), "white")
    for place, each in enumerate((one, other, marked)):
        whole.paste(each, (place * size[0], 0))
    file.parent.mkdir(parents=True, exist_ok=True)
    whole.save(file)
    return max(differing, 1) / (size[0] * size[1])


def _padded(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture in the corner of one of this size; the rest has a colour that no page has."""
    if picture.size == size:
        return picture
    larger = Image.new("RGB", size, (255, 0, 255))
    larger.paste(picture)
    return larger
