"""Contact sheets: all pictures of one width and scheme, small, on a few large ones."""

from pathlib import Path

from PIL import Image, ImageDraw

WIDE, TALL, COLUMNS, ROWS, EDGE, WORDS = 380, 560, 5, 3, 10, 18


def write_sheets(folder: Path, ending: str, target: Path) -> list[Path]:
    """Put the pictures below a folder that end with ``-<ending>.png`` on sheets in ``target``."""
    names = sorted(folder.rglob(f"*-{ending}.png"))
    sheets = []
    for number, first in enumerate(range(0, len(names), COLUMNS * ROWS), 1):
        size = (COLUMNS * (WIDE + EDGE) + EDGE, ROWS * (TALL + WORDS + EDGE) + EDGE)
        sheet = Image.new("RGB", size, (120, 120, 120))
        draw = ImageDraw.Draw(sheet)
        for place, path in enumerate(names[first : first + COLUMNS * ROWS]):
            left = EDGE + place % COLUMNS * (WIDE + EDGE)
            top = EDGE + place // COLUMNS * (TALL + WORDS + EDGE)
            draw.text((left, top + 3), path.relative_to(folder).as_posix(), fill="white")
            with Image.open(path) as picture:
                small = picture.convert("RGB")
                small = small.resize((WIDE, round(small.height * WIDE / small.width)))
                sheet.paste(small.crop((0, 0, WIDE, min(small.height, TALL))), (left, top + WORDS))
        target.mkdir(parents=True, exist_ok=True)
        sheets.append(target / f"{ending}-{number}.png")
        sheet.save(sheets[-1])
    return sheets
