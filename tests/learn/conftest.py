"""The lesson of a test file (test_voice.py: voice), run once."""

import pytest


@pytest.fixture(scope="module")
def lesson(request):
    return request.module.__name__.rpartition("test_")[2]


@pytest.fixture(scope="module")
def executed(lesson, taught):
    return taught(lesson)
