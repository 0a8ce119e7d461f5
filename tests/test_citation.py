"""CITATION.cff: the fields that the Citation File Format 1.2.0 asks for, and the facts of the other files."""

import tomllib

import yaml

from tests.documents import ROOT

WORK = {"type", "title", "authors"}                        # required of every work that is cited
PERSON, ENTITY = {"family-names", "given-names"}, {"name"}


def test_the_citation_file_is_complete_and_agrees_with_the_other_files():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert citation["cff-version"] == "1.2.0"
    assert citation["message"]
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    cited = [citation["preferred-citation"], *citation["references"]]
    for work in (citation, *cited):
        assert work.keys() >= WORK
        assert work["type"] in ("software", "thesis", "conference-paper")
        assert all(author.keys() in (PERSON, ENTITY) for author in work["authors"])
        assert isinstance(work.get("year", 2022), int)
    for work in cited:
        assert work["title"] in readme
        assert all(author["family-names"] in readme for author in work["authors"])
