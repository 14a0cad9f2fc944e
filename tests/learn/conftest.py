"""The lesson of a test file (test_voice.py: voice), run once."""

import pytest

from tests.learn import lessons


@pytest.fixture(scope="module")
def lesson(request):
    return request.module.__name__.rpartition("test_")[2]


@pytest.fixture(scope="module")
def executed(request, lesson, tmp_path_factory):
    return lessons.run(lesson, tmp_path_factory.mktemp(lesson), **getattr(request.module, "PARAMETERS", {}))
