//! The allowed changes of a job's status from one update to the next. Pure.

use serde::Deserialize;

/// The fields of an `IngestJob`'s status that the suite checks.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// `PENDING` and so on; empty before the first state.
    pub state: String,
    /// The reason of the state.
    pub reason: String,
    /// The message for people.
    pub message: String,
    /// Written by the upload API.
    pub upload: Upload,
    /// Written by the workers.
    pub counts: Counts,
    /// Why chunks cannot be loaded now.
    pub load_problem: Option<Problem>,
    /// Written at the end.
    pub receipt: Option<Receipt>,
}

/// `status.upload`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "as in the status")]
pub struct Upload {
    pub complete: bool,
    pub bytes: u64,
    pub rows: u64,
    pub chunks: u64,
    pub offset: u64,
    pub epoch: u64,
    pub digest: Option<String>,
}

/// `status.counts`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "as in the status")]
pub struct Counts {
    pub total: u64,
    pub ok: u64,
    pub errors: u64,
    pub chunks_done: u64,
    pub bad_cells: u64,
    pub stored_errors: u64,
}

/// `status.loadProblem`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "as in the status")]
pub struct Problem {
    pub reason: String,
    pub message: String,
}

/// `status.receipt`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "as in the status")]
pub struct Receipt {
    pub rows: u64,
    pub ok: u64,
    pub rejected: u64,
    pub table_rows: u64,
    pub chunks: u64,
    pub digest: String,
}

impl Status {
    /// Returns whether the job has ended.
    #[must_use]
    pub fn ended(&self) -> bool {
        rank(&self.state) == Some(4)
    }

    /// Returns whether it has ended with every row loaded or rejected.
    #[must_use]
    pub fn finished(&self) -> bool {
        ["SUCCESS", "PARTIAL_SUCCESS"].contains(&self.state.as_str()) || self.reason == "AllRowsRejected"
    }
}

/// Returns how far a state is in the order of states; `None` if there is no such state.
fn rank(state: &str) -> Option<u8> {
    match state {
        "" | "PENDING" => Some(0),
        "UPLOADING" => Some(1),
        "PROCESSING" => Some(2),
        "BLOCKED" => Some(3),
        "SUCCESS" | "PARTIAL_SUCCESS" | "FAILED" | "CANCELLED" => Some(4),
        _ => None,
    }
}

/// Returns what is wrong with one status, and with the step to it from the status before. Empty if nothing is wrong.
#[must_use]
pub fn wrong_step(before: &Status, now: &Status) -> Vec<String> {
    let mut wrong = vec![];
    let step = format!("state {:?} -> {:?}", before.state, now.state);
    match (rank(&before.state), rank(&now.state)) {
        (_, None) => wrong.push(format!("{step}: there is no such state")),
        (Some(4), _) if before.state != now.state => wrong.push(format!("{step}: the job had ended")),
        (Some(3), Some(2)) => {}
        (Some(from), Some(to)) if to < from => wrong.push(format!("{step}: backwards")),
        _ => {}
    }
    let (b, n) = (&before.counts, &now.counts);
    for (name, before, now) in [
        ("counts.total", b.total, n.total),
        ("counts.ok", b.ok, n.ok),
        ("counts.errors", b.errors, n.errors),
        ("counts.chunksDone", b.chunks_done, n.chunks_done),
        ("counts.badCells", b.bad_cells, n.bad_cells),
        ("counts.storedErrors", b.stored_errors, n.stored_errors),
        ("upload.bytes", before.upload.bytes, now.upload.bytes),
        ("upload.rows", before.upload.rows, now.upload.rows),
        ("upload.chunks", before.upload.chunks, now.upload.chunks),
        ("upload.offset", before.upload.offset, now.upload.offset),
        ("upload.epoch", before.upload.epoch, now.upload.epoch),
    ] {
        if now < before {
            wrong.push(format!("{name} {before} -> {now}: backwards"));
        }
    }
    if n.total != n.ok + n.errors {
        wrong.push(format!("counts.total {} is not ok {} + errors {}", n.total, n.ok, n.errors));
    }
    if before.upload.complete && !now.upload.complete {
        wrong.push("upload.complete true -> false".into());
    }
    if now.upload.complete && now.reason != "ChunkConflict" {
        for (name, count, total) in
            [("total", n.total, now.upload.rows), ("chunksDone", n.chunks_done, now.upload.chunks)]
        {
            if count > total {
                wrong.push(format!("counts.{name} {count} is past the total {total}"));
            }
        }
    }
    if now.finished() && (!now.upload.complete || n.total != now.upload.rows) {
        wrong.push(format!("{} with {} of {} rows counted", now.state, n.total, now.upload.rows));
    }
    if before.finished() && b != n {
        wrong.push(format!("counts changed after {}: {b:?} -> {n:?}", before.state));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: &str, complete: bool, ok: u64, errors: u64) -> Status {
        let counts = Counts { total: ok + errors, ok, errors, ..Counts::default() };
        let upload = Upload { complete, rows: 10, chunks: 2, ..Upload::default() };
        Status { state: state.into(), counts, upload, ..Status::default() }
    }

    #[test]
    fn each_step_of_a_normal_job_is_allowed() {
        let way = [
            Status::default(),
            status("PENDING", false, 0, 0),
            status("UPLOADING", false, 0, 0),
            status("PROCESSING", true, 4, 1),
            status("PARTIAL_SUCCESS", true, 9, 1),
        ];
        for step in way.windows(2) {
            assert_eq!(wrong_step(&step[0], &step[1]), Vec::<String>::new());
        }
    }

    #[test]
    fn counts_that_go_backwards_or_past_the_total_are_found() {
        let before = status("PROCESSING", true, 5, 1);
        assert_eq!(
            wrong_step(&before, &status("PROCESSING", true, 4, 1)),
            ["counts.total 6 -> 5: backwards", "counts.ok 5 -> 4: backwards"]
        );
        assert_eq!(
            wrong_step(&before, &status("PROCESSING", true, 10, 1)),
            ["counts.total 11 is past the total 10"]
        );
        let mut unequal = status("PROCESSING", true, 6, 1);
        unequal.counts.total = 9;
        assert_eq!(wrong_step(&before, &unequal), ["counts.total 9 is not ok 6 + errors 1"]);
    }

    #[test]
    fn a_state_that_goes_back_and_a_state_after_an_end_are_found() {
        let wrong = |from: &str, to: &str| wrong_step(&status(from, true, 3, 0), &status(to, true, 3, 0));
        assert_eq!(wrong("PROCESSING", "UPLOADING"), ["state \"PROCESSING\" -> \"UPLOADING\": backwards"]);
        assert_eq!(wrong("CANCELLED", "FAILED"), ["state \"CANCELLED\" -> \"FAILED\": the job had ended"]);
        assert_eq!(wrong("BLOCKED", "PROCESSING"), Vec::<String>::new());
        assert_eq!(wrong("PROCESSING", "DONE"), ["state \"PROCESSING\" -> \"DONE\": there is no such state"]);
    }

    #[test]
    fn success_before_the_last_row_is_counted_is_found() {
        let wrong = wrong_step(&status("PROCESSING", true, 3, 0), &status("SUCCESS", true, 9, 0));
        assert_eq!(wrong, ["SUCCESS with 9 of 10 rows counted"]);
        let taken_back = wrong_step(&status("PROCESSING", true, 3, 0), &status("PROCESSING", false, 3, 0));
        assert_eq!(taken_back, ["upload.complete true -> false"]);
    }

    #[test]
    fn a_status_is_read_as_the_api_server_sends_it() {
        let json = r#"{"state": "SUCCESS", "upload": {"complete": true, "rows": 2, "chunks": 1, "digest": "d"},
            "counts": {"total": 2, "ok": 2, "errors": 0, "chunksDone": 1, "chunksParked": 0},
            "receipt": {"rows": 2, "ok": 2, "rejected": 0, "tableRows": 2, "chunks": 1, "digest": "d", "checkedTime": "t"}}"#;
        let status: Status = serde_json::from_str(json).unwrap();
        assert_eq!((status.counts.chunks_done, status.receipt.unwrap().table_rows), (1, 2));
    }
}
