"""Adds to the documentation site what the repository has outside of docs/, and adapts the links.

MkDocs runs this for mkdocs.yml. On GitHub, pages link to files such as ``../reports/index.md`` and
``../scenarios/models``. On the site, README is the home page, the changelog, the contributing guide
and the committed report are pages as they are, and each other file or folder that a page links to
is a page with its text. All pages are written for GitHub and have nothing special in them.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
# Pages outside of docs/, by their path in the repository, and their places on the site.
PAGES = {name: name for name in ("CONTRIBUTING.md", "CHANGELOG.md")} | {"README.md": "index.md"}
_LINK = re.compile(r"(\]\(|^\[[^\]]+\]: )([^)\s#]+)", re.MULTILINE)
_LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages outside of docs/, and one for each other file or folder that is linked to."""
    report = [path for path in (ROOT / "reports").rglob("*") if path.is_file()]
    outside = PAGES | {(name := p.relative_to(ROOT).as_posix()): name for p in report}
    for path, place in outside.items():
        files.append(_added(config, place, abs_src_path=str(ROOT / path)))
    linked = {
        target
        for file in files
        if file.src_uri.endswith(".md")
        for _, link in _LINK.findall(Path(str(file.abs_src_path)).read_text(encoding="utf-8"))
        if "://" not in link and (target := _target(_repository_path(file.src_uri), link))
    }
    for path in sorted(linked):
        if files.get_file_from_path(_place(path)) is None and (ROOT / path).exists():
            files.append(_added(config, _place(path), content=_text_page(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Makes relative links lead to places on the site, and Markdown in ``<details>`` be read."""
    source = page.file.src_uri
    if source.startswith(("reports/", "files/")):
        page.meta["search"] = {"exclude": True}

    def on_the_site(link: re.Match[str]) -> str:
        opening, path = link.groups()
        if "://" in path:
            return link[0]
        place = _place(_target(_repository_path(source), path))
        return opening + posixpath.relpath(place, posixpath.dirname(source) or ".")

    return _LINK.sub(on_the_site, markdown).replace("<details>", '<details markdown="1">')


def _added(config: MkDocsConfig, place: str, **source: str) -> File:
    """Returns a file of the site that mkdocs.yml need not name in its navigation."""
    return File.generated(config, place, inclusion=InclusionLevel.NOT_IN_NAV, **source)


def _repository_path(place: str) -> str:
    """Returns the path in the repository of the page that has this place on the site."""
    for path, other in PAGES.items():
        if other == place:
            return path
    return place if place.startswith("reports/") else f"docs/{place}"


def _target(path: str, link: str) -> str:
    """Returns the path in the repository to which a page there links."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def _place(path: str) -> str:
    """Returns the place on the site of a file or folder of the repository."""
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/"):
        return path[len("docs/") :]
    if path.startswith("reports/"):
        return path
    return f"files/{path}.md"


def _text_page(path: Path) -> str:
    """Returns a page with the text of a file, or of all files of a folder."""
    title = path.relative_to(ROOT).as_posix()
    if path.is_file():
        return f"# {title}\n\n{_fenced(path)}\n"
    kept = [file for file in sorted(path.rglob("*")) if file.suffix in _LANGUAGES]
    blocks = [f"## {file.relative_to(path).as_posix()}\n\n{_fenced(file)}\n" for file in kept]
    return "\n".join([f"# {title}\n", *blocks])


def _fenced(file: Path) -> str:
    text = file.read_text(encoding="utf-8").rstrip("\n")
    return f"~~~~~~{_LANGUAGES.get(file.suffix, 'text')}\n{text}\n~~~~~~"
