"""The documents build as a site: no link leads nowhere, and no page asks another host for anything."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import draw_pictures, site

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("site") / "made"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["site.py", str(directory)])
        assert site.main() == 0
    yield directory


def test_every_page_is_there(built: Path) -> None:
    pages = {
        path.relative_to(REPOSITORY).with_suffix(".html") for path in (REPOSITORY / "docs").rglob("*.md")
    }
    assert len(pages) > 20
    for page in pages | {Path("docs/commands.html"), Path("index.html")}:
        assert (built / "site" / page).is_file(), page


def test_every_page_is_in_the_navigation(built: Path) -> None:
    front = (built / "site" / "index.html").read_text()
    for page in (REPOSITORY / "docs").rglob("*.md"):
        assert re.search(rf'href="(./)?docs/{page.stem}.html"', front), page


def test_pages_ask_no_other_host_for_anything(built: Path) -> None:
    for page in (built / "site").rglob("*.html"):
        text = page.read_text()
        assert (
            re.findall(r"<(?:script|img|link|iframe)[^>]*(?:src|href)=\"?(?:https?:)?//[^>]*", text) == []
        ), page
        # The theme fetches a program from elsewhere for each of these.
        assert not re.search(r'class="(?:mermaid|glightbox|pyodide)', text), page


def test_a_link_to_nowhere_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("README.md", "docs/one.md"):
        (tmp_path / name).write_text("# A page\n\n[to nowhere](docs/none.md)\n")
    configuration = (
        '[project]\nsite_name = "A"\ndocs_dir = "source"\nsite_dir = "site"\nnav = [{ "A" = "README.md" }]\n'
    )
    (tmp_path / "zensical.toml").write_text(configuration)
    monkeypatch.setattr(site, "REPOSITORY", tmp_path)
    monkeypatch.setattr(site, "CONFIGURATION", tmp_path / "zensical.toml")
    monkeypatch.setattr("sys.argv", ["site.py", str(tmp_path / "made")])
    assert site.main() == 1
    assert "page does not exist" in capsys.readouterr().err


def test_the_page_of_commands_has_each_with_its_options() -> None:
    page = site.commands()
    assert "\n### hatchway host script\n" in page
    assert "--api-url" in page.partition("\n### hatchway host script\n")[2].partition("\n### ")[0]


@pytest.mark.parametrize("name", draw_pictures.DRAWN)
def test_pictures_are_as_the_script_draws_them(name: str) -> None:
    assert (draw_pictures.PICTURES / name).read_text() == draw_pictures.DRAWN[name]().svg(), (
        "python scripts/draw_pictures.py"
    )
