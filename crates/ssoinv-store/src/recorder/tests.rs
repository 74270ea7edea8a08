use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use arrow_array::RecordBatch;
use proptest::prelude::*;
use ssoinv_core::journal::Journal;
use ssoinv_core::rows::TaskId;
use ssoinv_core::scope::{Partition, Scope};
use ssoinv_core::status::Status;
use ssoinv_core::table::RowEncoder;
use tempfile::TempDir;

use super::*;
use crate::row_queue::{EntryKind, RowQueue};
use crate::row_reader::RowReader;
use crate::run_store::{Manifest, RunStore};
use crate::testing::{batch, push, rows_of};

type Row = (Option<String>, i64);

/// The end of each task: pages of keys, or denied.
type Script = Vec<Option<Vec<Vec<u8>>>>;

fn table() -> Arc<TableSchema> {
    let schema = RowEncoder::<()>::plain("thing", "", vec![]).schema;
    Arc::new(TableSchema { schema: batch(&[]).schema(), ..(*schema).clone() })
}

fn clock(seconds: u64) -> Clock {
    Clock::from_fn(move || UNIX_EPOCH + Duration::from_secs(seconds))
}

fn cell(task: usize, status: Status) -> Cell {
    let scope = Scope {
        partition: Partition::Aws,
        account_id: format!("{task:012}").parse().ok(),
        account_name: None,
        role_name: None,
        profile: None,
        place: ssoinv_core::scope::Place::Global,
    };
    Cell::new(scope, "thing", "ListThings", status)
}

/// A saved run that one process after another works on.
struct World {
    runs: RunStore,
    folder: PathBuf,
    _state: TempDir,
}

/// The results of one process.
#[derive(Debug, PartialEq, Eq)]
struct Results {
    rows: Vec<(usize, Vec<Row>)>,
    statuses: Vec<Status>,
    duplicates: Vec<u64>,
    /// The tasks that it asked.
    asked: BTreeSet<usize>,
    complete: bool,
}

impl World {
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let runs = RunStore::new(state.path());
        let manifest = Manifest::new("1", "id", UNIX_EPOCH, vec![], std::collections::BTreeMap::new());
        drop(runs.create("r", manifest).unwrap());
        Self { runs, folder: state.path().join("kept/r"), _state: state }
    }

    fn open(&self) -> StoredRun {
        self.runs.open("r").unwrap()
    }

    /// Runs one process at the second `now`, for which `oldest` is too old. It gives up before the task `until`.
    fn process(
        &self,
        script: &Script,
        budget: usize,
        now: u64,
        oldest: Option<u64>,
        until: usize,
    ) -> Results {
        let oldest = oldest.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        let (queue, mut rows) =
            RowQueue::saved(script.len(), budget, self.open(), oldest, clock(now), script.len()).unwrap();
        let (table, mut cells, mut asked) = (table(), Vec::new(), BTreeSet::new());
        for (slot, pages) in script.iter().enumerate() {
            queue.open(slot, 1);
            let (task, key) = (TaskId { slot, part: 0 }, slot.to_string());
            if let Some(known) = queue.recall(task, &key, &table) {
                cells.push(known.into_iter().next().unwrap());
                continue;
            }
            let mut buffer = queue.task_buffer(task);
            let mut ended = cell(slot, Status::NotTried);
            if slot >= until {
                // Some of it was there already.
                push(&mut buffer, batch(&[(Some("half"), 0)])).unwrap();
            } else if let Some(pages) = pages {
                asked.insert(slot);
                let mut number = 0;
                for keys in pages {
                    push(&mut buffer, page(keys, &mut number)).unwrap();
                }
                ended = cell(slot, Status::Ok);
                ended.rows = number.unsigned_abs();
            } else {
                asked.insert(slot);
                ended = cell(slot, Status::Denied);
            }
            queue.note(task, &key, std::slice::from_ref(&ended));
            if ended.status == Status::Ok {
                buffer.finish();
            } else {
                queue.skip(task);
            }
            cells.push(ended);
        }
        queue.close();
        let left = read(&mut rows);
        let of_task = |slot| rows.duplicates().get(&TaskId { slot, part: 0 }).copied().unwrap_or_default();
        let duplicates = (0..script.len()).map(of_task).collect();
        let lines = cells
            .iter()
            .enumerate()
            .map(|(slot, cell)| (TaskId { slot, part: 0 }, std::slice::from_ref(cell), EntryKind::Task));
        let complete = queue.complete(lines).unwrap();
        Results {
            rows: left,
            statuses: cells.iter().map(|cell| cell.status).collect(),
            duplicates,
            asked,
            complete,
        }
    }

    /// Replays the run.
    fn replay(&self, oldest: Option<SystemTime>) -> Option<Vec<(usize, Vec<Row>)>> {
        let mut replay = self.open().replay(1 << 20, oldest, clock(9), &[table()], |_| true).ok()?;
        Some(read(&mut replay.rows))
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> =
            fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.ends_with("journal") || file.extension().is_some_and(|end| end == "arrows"));
        files.sort();
        files
    }
}

fn page(keys: &[u8], number: &mut i64) -> RecordBatch {
    let keys: Vec<Option<String>> = keys.iter().map(|&key| (key > 0).then(|| format!("arn:{key}"))).collect();
    let rows: Vec<_> = keys
        .iter()
        .map(|key| {
            *number += 1;
            (key.as_deref(), *number)
        })
        .collect();
    batch(&rows)
}

fn read(rows: &mut RowReader) -> Vec<(usize, Vec<Row>)> {
    let mut tasks: Vec<(usize, Vec<Row>)> = Vec::new();
    for item in rows {
        let (task, batch) = item.unwrap();
        match tasks.last_mut() {
            Some((last, all)) if *last == task.slot => all.extend(rows_of(&batch)),
            _ => tasks.push((task.slot, rows_of(&batch))),
        }
    }
    tasks
}

fn cut(file: &Path, to: f64) {
    let file = OpenOptions::new().write(true).open(file).unwrap();
    let length = file.metadata().unwrap().len();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "any place will do"
    )]
    file.set_len((length as f64 * to) as u64).unwrap();
}

fn damage(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    let length = bytes.len();
    bytes[at % length] ^= 1;
    fs::write(file, bytes).unwrap();
}

fn simple() -> Script {
    vec![Some(vec![vec![2, 1, 2], vec![0, 2]]), Some(vec![]), Some(vec![vec![7]])]
}

#[test]
fn a_resumed_run_repeats_no_finished_task() {
    let world = World::new();
    let unbroken = World::new().process(&simple(), 1 << 20, 1, None, 3);
    assert_eq!(unbroken.rows[0].1.len(), 3);
    let first = world.process(&simple(), 1 << 20, 1, None, 2);
    assert_eq!((first.asked, first.complete), ([0, 1].into(), false));
    assert_eq!(world.replay(None), None);
    let second = world.process(&simple(), 1 << 20, 2, None, 3);
    assert_eq!(second.asked, [2].into());
    assert_eq!(Results { asked: unbroken.asked.clone(), ..second }, unbroken);
    let third = world.process(&simple(), 1 << 20, 3, None, 3);
    assert_eq!((third.asked, third.rows), (BTreeSet::new(), unbroken.rows));
    let summary = world.runs.list().unwrap().remove(0);
    assert_eq!((summary.done, summary.failed, summary.planned), (3, 0, 3));
}

#[test]
fn a_resumed_run_repeats_failed_and_old_tasks() {
    let world = World::new();
    let mut script = simple();
    script[1] = None;
    assert!(!world.process(&script, 0, 10, None, 3).complete);
    let again = world.process(&simple(), 0, 20, None, 3);
    assert_eq!((again.asked, again.complete), ([1].into(), true));
    assert_eq!(world.process(&simple(), 0, 30, Some(10), 3).asked, [0, 2].into());
    assert_eq!(world.process(&simple(), 0, 40, Some(40), 3).asked.len(), 3);
    // A task that failed after it was done has failed.
    assert_eq!(world.process(&script, 0, 50, Some(50), 3).statuses[1], Status::Denied);
    assert_eq!(world.process(&simple(), 0, 60, None, 3).asked, [1].into());
}

#[test]
fn a_complete_run_is_replayed_with_everything() {
    let world = World::new();
    let seen = world.process(&simple(), 0, 1, None, 3);
    assert!(seen.complete);
    let refused = world.open().replay(1 << 20, None, clock(9), &[table()], |cells| cells.len() != 3);
    assert!(refused.is_err(), "the plan has other cells");
    drop(refused);
    let mut replay = world.open().replay(1 << 20, None, clock(9), &[table()], |_| true).unwrap();
    assert_eq!(read(&mut replay.rows), seen.rows);
    assert_eq!(replay.rows.duplicates()[&TaskId { slot: 0, part: 0 }], seen.duplicates[0]);
    assert_eq!(replay.cells.iter().map(|cells| cells[0].rows).collect::<Vec<_>>(), [5, 0, 1]);
    drop(replay);
    assert_eq!(world.replay(Some(UNIX_EPOCH + Duration::from_secs(1))), None, "too old");
    damage(world.files().last().unwrap(), 600);
    assert_eq!(world.replay(None), None, "damaged");
    assert_eq!(world.process(&simple(), 0, 2, None, 3).rows, seen.rows);
}

#[test]
fn a_task_of_another_table_is_not_recalled() {
    let world = World::new();
    world.process(&simple(), 0, 1, None, 3);
    let (queue, _rows) = RowQueue::saved(1, 0, world.open(), None, clock(2), 1).unwrap();
    let named = TableSchema { name: "other".into(), ..(*table()).clone() };
    let columns = TableSchema {
        schema: RowEncoder::<()>::plain("thing", "", vec![]).schema.schema.clone(),
        ..(*table()).clone()
    };
    for table in [named, columns] {
        assert!(queue.recall(TaskId::default(), "0", &table).is_none());
    }
    assert!(queue.recall(TaskId::default(), "0", &table()).is_some());
    // The other tasks aren't in this plan.
    assert_eq!(queue.unplanned().len(), 2);
}

/// A task is one unit: any gap in it, of its list call or not, repeats the whole task.
#[test]
fn a_resumed_run_repeats_a_task_with_any_incomplete_cell() {
    for (index, status) in [
        (0, Status::Denied),
        // A detail call's cell, and another profile's.
        (1, Status::Throttled),
        (2, Status::SignInExpired),
    ] {
        let world = World::new();
        let task = TaskId::default();
        let (queue, rows) = RowQueue::saved(1, 1 << 20, world.open(), None, clock(1), 1).unwrap();
        queue.open(0, 1);
        let mut cells = vec![cell(0, Status::Ok), cell(0, Status::Ok), cell(0, Status::Skipped)];
        cells[1].call = "GetThingTags".into();
        cells[1].columns = vec!["tags".into()];
        cells[2].scope.profile = Some("other".into());
        cells[index].status = status;
        queue.note(task, "0", &cells);
        queue.task_buffer(task).finish();
        queue.close();
        assert!(!queue.complete([(task, &cells[..], EntryKind::Task)]).unwrap(), "{status:?}");
        drop((queue, rows));
        let (queue, rows) = RowQueue::saved(1, 1 << 20, world.open(), None, clock(2), 1).unwrap();
        assert!(queue.recall(task, "0", &table()).is_none(), "{status:?}");
        drop((queue, rows));
    }
}

#[test]
fn facts_about_accounts_are_recalled_until_too_old() {
    let world = World::new();
    let oldest = |seconds| Some(UNIX_EPOCH + Duration::from_secs(seconds));
    let found = |oldest, note: Option<&str>| {
        let (queue, _rows) = RowQueue::saved(1, 0, world.open(), oldest, clock(5), 1).unwrap();
        let found = queue.recall_survey("v");
        if let Some(note) = note {
            queue.note_survey("v", 3, Some(note.to_owned()));
        }
        found
    };
    assert_eq!(found(None, Some("x")), None);
    assert_eq!(found(oldest(4), None).as_deref(), Some("x"));
    assert_eq!(found(oldest(5), None), None);
}

#[test]
fn rows_without_a_reader_are_not_recorded() {
    let world = World::new();
    let (queue, rows) = RowQueue::saved(2, 1 << 20, world.open(), None, clock(1), 2).unwrap();
    let mut buffer = queue.task_buffer(TaskId::default());
    push(&mut buffer, batch(&[(Some("a"), 1)])).unwrap();
    drop(rows);
    let ended = [cell(0, Status::Ok)];
    queue.note(TaskId::default(), "0", &ended);
    buffer.finish();
    queue.close();
    assert!(!queue.complete([(TaskId::default(), &ended[..], EntryKind::Task)]).unwrap());
    drop(queue);
    assert_eq!(world.open().index.counts(), (0, 0));
}

#[test]
fn a_disk_error_reaches_the_reader() {
    let world = World::new();
    let (queue, mut rows) = RowQueue::saved(1, 1 << 20, world.open(), None, clock(1), 1).unwrap();
    // Where the first segment would be.
    let path = world.folder.join("segment-000001.arrows");
    fs::create_dir(&path).unwrap();
    queue.open(0, 1);
    let mut buffer = queue.task_buffer(TaskId::default());
    push(&mut buffer, batch(&[(Some("a"), 1)])).unwrap();
    queue.note(TaskId::default(), "0", &[cell(0, Status::Ok)]);
    buffer.finish();
    let error = rows.next().unwrap().unwrap_err();
    assert!(matches!(&error, StoreError::Disk { path: named, .. } if *named == path), "{error:?}");
    queue.close();
    drop((queue, rows));
    assert_eq!(world.open().index.counts(), (0, 0));
}

fn scripts() -> impl Strategy<Value = Script> {
    let pages = prop::collection::vec(prop::collection::vec(0..40_u8, 0..12), 0..6);
    prop::collection::vec(prop::option::weighted(0.9, pages), 1..7)
}

/// The end of a process: the task before which it gives up, the part of each file that is left, and a damaged bit.
#[derive(Clone, Debug)]
struct End {
    until: usize,
    cuts: Vec<f64>,
    damaged: Option<(usize, usize)>,
}

fn ends() -> impl Strategy<Value = End> {
    let part = prop_oneof![2 => Just(1.0), 1 => 0.0..1.0];
    let damaged = prop::option::weighted(0.3, (any::<usize>(), any::<usize>()));
    (0..8_usize, prop::collection::vec(part, 3), damaged).prop_map(|(until, cuts, damaged)| End {
        until,
        cuts,
        damaged,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Processes are stopped anywhere and any number of times, and their files are cut or damaged. The last process, which
    /// isn't stopped, gives the same rows and cells as one unbroken run, and no process repeats a task that is intact.
    #[test]
    fn a_resumed_run_gives_the_output_of_an_unbroken_run(
        script in scripts(),
        budget in prop::sample::select(vec![0, 2_000, 1 << 20]),
        ends in prop::collection::vec(ends(), 0..4),
    ) {
        let unbroken = World::new().process(&script, 1 << 20, 1, None, script.len());
        let world = World::new();
        let mut may_lack: BTreeSet<usize> = (0..script.len()).collect();
        for end in &ends {
            let seen = world.process(&script, budget, 1, None, end.until);
            prop_assert!(seen.asked.is_subset(&may_lack), "{:?} of {may_lack:?}", seen.asked);
            let mut lost = false;
            for (index, file) in world.files().iter().enumerate() {
                let part = end.cuts.get(index).copied().unwrap_or(1.0);
                if part < 1.0 {
                    lost = true;
                    cut(file, part);
                }
            }
            let files = world.files();
            if let Some((file, at)) = end.damaged
                && let file = &files[file % files.len()]
                && fs::metadata(file).unwrap().len() > 0
            {
                lost = true;
                damage(file, at);
            }
            if lost {
                may_lack = (0..script.len()).collect();
            } else {
                let done = |slot: &usize| script[*slot].is_some() && seen.statuses[*slot] == Status::Ok;
                may_lack.retain(|slot| !done(slot));
            }
        }
        let last = world.process(&script, budget, 1, None, script.len());
        prop_assert!(last.asked.is_subset(&may_lack), "{:?} of {may_lack:?}", last.asked);
        let replayed = world.replay(None);
        prop_assert_eq!(replayed, script.iter().all(Option::is_some).then(|| unbroken.rows.clone()));
        prop_assert_eq!(Results { asked: unbroken.asked.clone(), ..last }, unbroken);
    }
}
