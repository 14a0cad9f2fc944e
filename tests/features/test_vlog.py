"""Feature arrays of vlogs: every fault, scaling, the released crops, padding, buckets."""

import pickle
import random

import numpy as np
import pytest
import torch

from depnb.corpora import readers, vlogs
from depnb.features import vlog


def saved(path, array, **options):
    with path.open("wb") as file:
        np.save(file, array, **options)
    return path


def made(lengths, seed=0):
    """Vlogs of so many rows: mapping v0, v1, ... -> arrays."""
    rng = np.random.default_rng(seed)
    return {f"v{i}": {"acoustic": rng.normal(3, 2, (n, 25)).astype(np.float32),
                      "visual": rng.normal(90, 9, (n, 136)).astype(np.float32)}
            for i, n in enumerate(lengths)}


ONES = np.ones((10, 25), np.float32)


class TestRead:
    @pytest.mark.parametrize("array",
                             [ONES, ONES.astype(float), ONES.astype(np.float16), ONES.astype(int),
                              0 * ONES, np.asfortranarray(ONES), ONES[:1]])
    def test_numbers_of_any_type_become_float32_as_they_are(self, tmp_path, array):
        rows = readers.read_array(saved(tmp_path / "a.npy", array), 25)
        assert rows.dtype == np.float32
        assert type(rows) is np.ndarray
        np.testing.assert_array_equal(rows, array)

    @pytest.mark.parametrize(("array", "message"), [
        (ONES[:, :24], r"has the shape \(10, 24\); expected \(seconds, 25\)\. Copy it again"),
        (ONES.T, r"has the shape \(25, 10\); expected"),
        (ONES[0], r"has the shape \(25,\)"),
        (ONES[None], r"has the shape \(1, 10, 25\)"),
        (np.float32(1), r"has the shape \(\)"),
        (ONES[:0], r"has the shape \(0, 25\): there is nothing in it"),
        (ONES * [[np.nan]], "250 of 250 values are NaN or infinite"),
        (np.where(np.eye(10, 25), np.inf, ONES), "10 of 250 values are NaN or infinite"),
        (ONES.astype(float) * 1e300, r"250 of 250 values are NaN or infinite \(in float32\)"),
        (ONES.astype(str), "no real numbers"),
        (ONES.astype(complex), "holds complex128, no real numbers"),
        (ONES > 0, "holds bool, no real numbers")])
    def test_arrays_that_cannot_be_used(self, tmp_path, array, message):
        with pytest.raises(ValueError, match=message):
            readers.read_array(saved(tmp_path / "a.npy", array), 25)

    def test_objects_are_refused_and_never_unpickled(self, tmp_path):
        opened = tmp_path / "opened"

        class Trap:
            def __reduce__(self):
                return opened.touch, ()

        array = np.empty((10, 25), object)
        array[:] = Trap()
        (tmp_path / "plain.npy").write_bytes(pickle.dumps(Trap()))
        for path in (saved(tmp_path / "a.npy", array, allow_pickle=True), tmp_path / "plain.npy"):
            with pytest.raises(
                ValueError,
                match=r"pickled Python objects, which may run code when read: refused; expected "
                r"an array of numbers\. Save it again as float32"):
                readers.read_array(path, 25)
        assert not opened.exists()

    @pytest.mark.parametrize("spoil",
                             [lambda b: b"", lambda b: b[:8], lambda b: b[:40], lambda b: b[:-4],
                              lambda b: b"a text, not an array", lambda b: b"PK\x03\x04" + b])
    def test_files_that_are_no_whole_array(self, tmp_path, spoil):
        path = saved(tmp_path / "a.npy", ONES)
        path.write_bytes(spoil(path.read_bytes()))
        with pytest.raises(
            ValueError,
            match=r"not a whole \.npy file .*; expected \(seconds, 25\)\. Copy it again"):
            readers.read_array(path, 25)

    def test_files_that_cannot_be_opened(self, tmp_path):
        with pytest.raises(ValueError, match=r"cannot be read \(No such file or directory\)"):
            readers.read_array(tmp_path / "none.npy", 25)
        with pytest.raises(ValueError, match="cannot be read"):
            readers.read_array(tmp_path, 25)

    def test_without_a_width_any_will_do(self, tmp_path):
        assert readers.read_array(saved(tmp_path / "a.npy", ONES)).shape == (10, 25)


class TestLoad:
    def test_lengths_a_few_rows_apart_are_cut_from_the_start(self):
        a, v = np.arange(20)[:, None], np.arange(20 - vlogs.TOLERANCE)[:, None]
        for pair in (vlog.together(a, v), vlog.together(v, a)[::-1]):
            np.testing.assert_array_equal(pair[0], pair[1])
            assert len(pair[0]) == 15
        with pytest.raises(
            ValueError,
            match=r"20 rows of sound and 14 of picture; expected one a second of each, at most"):
            vlog.together(a, v[1:])

    def test_a_fault_bars_its_vlog_and_the_others_go_on(self, tmp_path):
        files = {}
        for name, (sound, picture) in {"good": (9, 10), "short": (9, 30), "wide": (9, 9),
                                       "both": (9, 9)}.items():
            files[f"{name}/acoustic"] = saved(tmp_path / f"{name}_a",
                                              np.ones((sound, 128 + (name == "both"))))
            files[f"{name}/visual"] = saved(tmp_path / f"{name}_v",
                                            np.ones((picture, 136 + (name in ("wide", "both")))))
        del files["both/visual"]
        arrays, problems = vlog.load(files, "lmvd")
        assert list(arrays) == ["good"]
        shapes = {part: rows.shape for part, rows in arrays["good"].items()}
        assert shapes == {"acoustic": (9, 128), "visual": (9, 136)}
        assert sorted(problems) == ["both/acoustic", "short/visual", "wide/visual"]
        assert "9 rows of sound and 30 of picture" in problems["short/visual"]


class TestScaling:
    def test_training_rows_get_mean_0_and_sd_1(self):
        vlogs = list(made([30, 500, 7]).values())
        scaled = [vlog.Scaling.fit(vlogs).apply(v) for v in vlogs]
        for part in ("acoustic", "visual"):
            rows = np.concatenate([v[part] for v in scaled])
            assert rows.dtype == np.float32
            np.testing.assert_allclose(rows.mean(0), 0, atol=1e-5)
            np.testing.assert_allclose(rows.std(0), 1, atol=1e-5)

    def test_constant_features_become_zeros_in_every_vlog(self):
        vlogs = made([40, 60])
        for v in vlogs.values():
            v["visual"][:, 3] = 0.1
        scaling = vlog.Scaling.fit(list(vlogs.values()))
        other = made([5], seed=1)["v0"]
        assert not scaling.apply(other)["visual"][:, 3].any()
        assert scaling.apply(other)["visual"][:, 4].any()

    def test_it_is_precise_where_values_are_large(self):
        vlogs = list(made([3000]).values())
        vlogs[0]["visual"] += 1e5
        mean, sd = vlog.Scaling.fit(vlogs).tables["visual"]
        exact = vlogs[0]["visual"].astype(float)
        np.testing.assert_allclose(mean, exact.mean(0), rtol=1e-12)
        np.testing.assert_allclose(sd, exact.std(0), rtol=1e-9)

    def test_the_identity_changes_nothing_and_nobody_scales_by_nobody(self):
        v = made([9])["v0"]
        for part, rows in vlog.Scaling.identity(vlog.WIDTHS["dvlog"]).apply(v).items():
            np.testing.assert_array_equal(rows, v[part])
        with pytest.raises(ValueError, match="no vlog to scale by"):
            vlog.Scaling.fit([])

    def test_by_itself_a_vlog_is_scaled_by_its_own_rows(self):
        rows = made([40])["v0"]
        scaled = vlog.by_itself({name: 2 * x + 5 for name, x in rows.items()})
        for name, expected in vlog.Scaling.fit([rows]).apply(rows).items():
            np.testing.assert_allclose(scaled[name], expected, atol=1e-4)


class TestReleasedCrops:
    def test_the_draws_are_pythons_in_the_authors_order(self):
        lengths = {"a": 499, "b": 1200, "c": 3000}
        random.seed(7)
        expected = []
        for session, rows in lengths.items():
            for _ in range(5):
                length = int(random.random() * rows)
                if length >= 500:
                    expected.append((session, random.randint(1, rows - length), length))
        assert vlog.released_crops(lengths, 7) == expected
        assert {s for s, _, _ in expected} == {"b", "c"}

    def test_as_many_as_the_rule_promises_and_never_the_first_row(self):
        crops = vlog.released_crops(dict.fromkeys(range(2000), 1500), 0, vlog.SHORTEST["lmvd"])
        assert len(crops) / 2000 == pytest.approx(5 * (1 - 400 / 1500), rel=0.03)
        assert all(start >= 1 and length >= 400 and start + length <= 1500
                   for _, start, length in crops)
        assert min(start for _, start, _ in crops) == 1
        assert max(start + length for _, start, length in crops) == 1500
        assert vlog.released_crops({"a": 400}, 0, 400) == []

    def test_fresh_crops_lie_anywhere(self):
        rng = np.random.default_rng(0)
        starts = {vlog.random_crop(12, 10, rng) for _ in range(100)}
        assert starts == {(0, 10), (1, 10), (2, 10)}
        assert (vlog.random_crop(10, 10, rng) == vlog.random_crop(10, 0, rng)
                == vlog.random_crop(10, 99, rng) == (0, 10))


class TestPadding:
    @pytest.mark.parametrize("seed", range(5))
    def test_a_vlog_gives_the_same_rows_and_mask_alone_and_in_any_batch(self, seed):
        rng = np.random.default_rng(seed)
        vlogs = list(made(rng.integers(1, 40, 6), seed).values())
        batch = vlog.collate(vlogs)
        for i, v in enumerate(vlogs):
            alone, real = vlog.collate([v]), batch["mask"][i]
            assert alone["mask"].all()
            assert real.sum() == len(v["visual"]) == alone["mask"].shape[1]
            assert real[:len(v["visual"])].all()
            for name, part in (("audio", "acoustic"), ("visual", "visual")):
                torch.testing.assert_close(batch[name][i][real], alone[name][0], rtol=0, atol=0)
                np.testing.assert_array_equal(alone[name][0], v[part])
                assert not batch[name][i][~real].any()
        assert batch["audio"].dtype == batch["visual"].dtype == torch.float32

    def test_rows_that_sum_to_zero_are_data_here_and_padding_as_released(self):
        vlogs = list(made([6, 4]).values())
        vlogs[0]["visual"][2] = np.tile([1, -1], 68)
        vlogs[0]["acoustic"][2] = 0
        vlogs[1] = {part: 0 * rows for part, rows in vlogs[1].items()}
        batch = vlog.collate(vlogs)
        assert batch["mask"].sum(1).tolist() == [6, 4]
        assert vlog.released_mask(batch["audio"], batch["visual"]).tolist() == [
            [True, True, False, True, True, True], [False] * 6]

    def test_whole_vlogs_in_order_of_length(self):
        vlogs = made([9, 3, 7, 5, 1])
        as_given = [names for names, _ in vlog.in_order(vlogs, ["v0", "v1", "v3", "v2"], 3,
                                                        bucketing=False)]
        assert as_given == [["v0", "v1", "v3"], ["v2"]]
        seen = list(vlog.in_order(vlogs, ["v0", "v1", "v3", "v2"], 3))
        assert [names for names, _ in seen] == [["v1", "v3", "v2"], ["v0"]]
        np.testing.assert_array_equal(seen[0][1]["audio"][2, :7], vlogs["v2"]["acoustic"])


class TestBatches:
    LENGTHS = (20, 400, 30, 390, 25, 410, 200, 210, 5, 190)

    def batches(self, **options):
        vlogs = made(self.LENGTHS)
        items = [(s, 0, len(v["visual"])) for s, v in vlogs.items()]
        return vlog.Batches(vlogs, items, {s: i % 2 for i, s in enumerate(vlogs)},
                            **{"batch_size": 3, "seed": 0, **options})

    @pytest.mark.parametrize("bucketing", [True, False])
    def test_every_item_comes_once_an_epoch_with_its_label(self, bucketing):
        batches = self.batches(bucketing=bucketing)
        for epoch in range(3):
            epoch_batches = list(batches(epoch))
            assert len(epoch_batches) == len(batches) == 4
            assert sorted(torch.cat([b["row"] for b in epoch_batches]).tolist()) == list(range(10))
            for batch in epoch_batches:
                assert batch["label"].dtype == torch.float32
                assert [f"v{i}" for i in batch["row"]] == batch["session"]
                assert batch["label"].tolist() == [i % 2 for i in batch["row"]]
                assert batch["mask"].sum(1).tolist() == [self.LENGTHS[i] for i in batch["row"]]
                np.testing.assert_array_equal(batch["visual"][0][batch["mask"][0]],
                                              batches.vlogs[batch["session"][0]]["visual"])

    def test_an_epoch_depends_on_seed_and_epoch_alone(self):
        def drawn(seed, epoch):
            return [(b["row"].tolist(), b["audio"].sum().item())
                    for b in self.batches(seed=seed, crop=15)(epoch)]

        assert drawn(0, 4) == drawn(0, 4)
        assert drawn(0, 4) != drawn(0, 5)
        assert drawn(0, 4) != drawn(1, 4)

    def test_buckets_pad_less_and_change_from_epoch_to_epoch(self):
        vlogs = made(np.random.default_rng(0).integers(60, 1800, 200) // 10)
        items = [(s, 0, len(v["visual"])) for s, v in vlogs.items()]
        with_buckets, without = (vlog.Batches(vlogs, items, {}, 16, 0, b) for b in (True, False))
        assert with_buckets.padding(0) < 0.15 < 0.4 < without.padding(0)
        first, second = ({frozenset(rows) for rows in with_buckets.rows(epoch)} for epoch in (0, 1))
        assert len(first & second) < len(first) / 4
        longest = [max(with_buckets.lengths[rows]) for rows in with_buckets.rows(0)]
        assert longest != sorted(longest)

    def test_padding_is_what_the_batches_hold(self):
        for bucketing in (True, False):
            batches = self.batches(bucketing=bucketing, crop=150)
            masks = [b["mask"] for b in batches(2)]
            assert batches.padding(2) == pytest.approx(
                1 - sum(m.sum().item() for m in masks) / sum(m.numel() for m in masks))

    def test_crops_are_parts_of_the_item_and_new_every_epoch(self):
        vlogs = {"a": {part: np.repeat(np.arange(100, dtype=np.float32)[:, None], n, 1)
                       for part, n in (("acoustic", 25), ("visual", 136))}}
        batches = vlog.Batches(vlogs, [("a", 20, 50)], {"a": 1}, 1, 0, crop=10)
        starts = set()
        for epoch in range(60):
            (batch,) = batches(epoch)
            rows = batch["audio"][0, :, 0]
            assert torch.equal(rows, batch["visual"][0, :, 7])
            assert torch.equal(rows, rows[0] + torch.arange(10))
            starts.add(int(rows[0]))
        assert min(starts) >= 20
        assert max(starts) <= 60
        assert len(starts) > 20

    def test_nothing_to_train_with(self):
        with pytest.raises(ValueError, match=r"no vlog to train with\. Check the split"):
            vlog.Batches({}, [], {}, 2, 0)
