use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use arrow_array::RecordBatch;
use proptest::prelude::*;
use ssoinv_core::scope::{Partition, Scope};
use ssoinv_core::table::RowEncoder;
use tempfile::TempDir;

use super::*;
use crate::kept::{KeptRuns, Manifest};
use crate::testing::{batch, push, rows_of};

type Row = (Option<String>, i64);

/// How a task ends: with pages of keys, or denied.
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

/// A kept run, as one process after another has it.
struct World {
    runs: KeptRuns,
    folder: PathBuf,
    _state: TempDir,
}

/// What one process saw.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
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
        let runs = KeptRuns::new(state.path());
        let manifest = Manifest::new("1", "id", UNIX_EPOCH, vec![], std::collections::BTreeMap::new());
        drop(runs.create("r", manifest).unwrap());
        Self { runs, folder: state.path().join("kept/r"), _state: state }
    }

    fn open(&self) -> KeptRun {
        self.runs.open("r").unwrap()
    }

    /// One process, in the year `now`, to which `oldest` is too old. It gives up before the task `until`.
    fn process(&self, script: &Script, budget: usize, now: u64, oldest: Option<u64>, until: usize) -> Seen {
        let oldest = oldest.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        let (queue, mut rows) =
            RowQueue::kept(script.len(), budget, self.open(), oldest, clock(now), script.len()).unwrap();
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
            .map(|(slot, cell)| (TaskId { slot, part: 0 }, std::slice::from_ref(cell), Kind::Task));
        let complete = queue.complete(lines).unwrap();
        Seen {
            rows: left,
            statuses: cells.iter().map(|cell| cell.status).collect(),
            duplicates,
            asked,
            complete,
        }
    }

    /// What the run gives once more without asking anybody.
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

fn read(rows: &mut Rows) -> Vec<(usize, Vec<Row>)> {
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

fn spoil(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    let length = bytes.len();
    bytes[at % length] ^= 1;
    fs::write(file, bytes).unwrap();
}

fn simple() -> Script {
    vec![Some(vec![vec![2, 1, 2], vec![0, 2]]), Some(vec![]), Some(vec![vec![7]])]
}

#[test]
fn what_has_been_done_is_not_done_again() {
    let world = World::new();
    let unbroken = World::new().process(&simple(), 1 << 20, 1, None, 3);
    assert_eq!(unbroken.rows[0].1.len(), 3);
    let first = world.process(&simple(), 1 << 20, 1, None, 2);
    assert_eq!((first.asked, first.complete), ([0, 1].into(), false));
    assert_eq!(world.replay(None), None);
    let second = world.process(&simple(), 1 << 20, 2, None, 3);
    assert_eq!(second.asked, [2].into());
    assert_eq!(Seen { asked: unbroken.asked.clone(), ..second }, unbroken);
    let third = world.process(&simple(), 1 << 20, 3, None, 3);
    assert_eq!((third.asked, third.rows), (BTreeSet::new(), unbroken.rows));
    let summary = world.runs.list().unwrap().remove(0);
    assert_eq!((summary.done, summary.failed, summary.planned), (3, 0, 3));
}

#[test]
fn what_failed_or_is_too_old_is_asked_again() {
    let world = World::new();
    let mut script = simple();
    script[1] = None;
    assert!(!world.process(&script, 0, 10, None, 3).complete);
    let again = world.process(&simple(), 0, 20, None, 3);
    assert_eq!((again.asked, again.complete), ([1].into(), true));
    assert_eq!(world.process(&simple(), 0, 30, Some(10), 3).asked, [0, 2].into());
    assert_eq!(world.process(&simple(), 0, 40, Some(40), 3).asked.len(), 3);
    // What failed after it had been done has failed.
    assert_eq!(world.process(&script, 0, 50, Some(50), 3).statuses[1], Status::Denied);
    assert_eq!(world.process(&simple(), 0, 60, None, 3).asked, [1].into());
}

#[test]
fn a_complete_run_is_told_once_more_with_everything() {
    let world = World::new();
    let seen = world.process(&simple(), 0, 1, None, 3);
    assert!(seen.complete);
    let refused = world.open().replay(1 << 20, None, clock(9), &[table()], |cells| cells.len() != 3);
    assert!(refused.is_err(), "something else is to be looked at");
    drop(refused);
    let mut replay = world.open().replay(1 << 20, None, clock(9), &[table()], |_| true).unwrap();
    assert_eq!(read(&mut replay.rows), seen.rows);
    assert_eq!(replay.rows.duplicates()[&TaskId { slot: 0, part: 0 }], seen.duplicates[0]);
    assert_eq!(replay.cells.iter().map(|cells| cells[0].rows).collect::<Vec<_>>(), [5, 0, 1]);
    drop(replay);
    assert_eq!(world.replay(Some(UNIX_EPOCH + Duration::from_secs(1))), None, "too old");
    spoil(world.files().last().unwrap(), 600);
    assert_eq!(world.replay(None), None, "not whole any more");
    assert_eq!(world.process(&simple(), 0, 2, None, 3).rows, seen.rows);
}

#[test]
fn a_task_of_another_table_is_not_recalled() {
    let world = World::new();
    world.process(&simple(), 0, 1, None, 3);
    let (queue, _rows) = RowQueue::kept(1, 0, world.open(), None, clock(2), 1).unwrap();
    let named = TableSchema { name: "other".into(), ..(*table()).clone() };
    let columns = TableSchema {
        schema: RowEncoder::<()>::plain("thing", "", vec![]).schema.schema.clone(),
        ..(*table()).clone()
    };
    for table in [named, columns] {
        assert!(queue.recall(TaskId::default(), "0", &table).is_none());
    }
    assert!(queue.recall(TaskId::default(), "0", &table()).is_some());
    // Those of the others are not in this plan.
    assert_eq!(queue.unplanned().len(), 2);
}

#[test]
fn surveys_come_back_until_they_are_too_old() {
    let world = World::new();
    let oldest = |seconds| Some(UNIX_EPOCH + Duration::from_secs(seconds));
    let found = |oldest, note: Option<&str>| {
        let (queue, _rows) = RowQueue::kept(1, 0, world.open(), oldest, clock(5), 1).unwrap();
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
fn rows_that_nobody_reads_are_not_said_to_be_kept() {
    let world = World::new();
    let (queue, rows) = RowQueue::kept(2, 1 << 20, world.open(), None, clock(1), 2).unwrap();
    let mut buffer = queue.task_buffer(TaskId::default());
    push(&mut buffer, batch(&[(Some("a"), 1)])).unwrap();
    drop(rows);
    let ended = [cell(0, Status::Ok)];
    queue.note(TaskId::default(), "0", &ended);
    buffer.finish();
    queue.close();
    assert!(!queue.complete([(TaskId::default(), &ended[..], Kind::Task)]).unwrap());
    drop(queue);
    assert_eq!(world.open().memory.counts(), (0, 0));
}

#[test]
fn a_disk_that_says_no_reaches_the_reader() {
    let world = World::new();
    let (queue, mut rows) = RowQueue::kept(1, 1 << 20, world.open(), None, clock(1), 1).unwrap();
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
    assert_eq!(world.open().memory.counts(), (0, 0));
}

fn scripts() -> impl Strategy<Value = Script> {
    let pages = prop::collection::vec(prop::collection::vec(0..40_u8, 0..12), 0..6);
    prop::collection::vec(prop::option::weighted(0.9, pages), 1..7)
}

/// How a process ends: it gives up before a task, and of each file only so much has reached the disk, or a bit is wrong.
#[derive(Clone, Debug)]
struct End {
    until: usize,
    cuts: Vec<f64>,
    spoilt: Option<(usize, usize)>,
}

fn ends() -> impl Strategy<Value = End> {
    let part = prop_oneof![2 => Just(1.0), 1 => 0.0..1.0];
    let spoilt = prop::option::weighted(0.3, (any::<usize>(), any::<usize>()));
    (0..8_usize, prop::collection::vec(part, 3), spoilt).prop_map(|(until, cuts, spoilt)| End {
        until,
        cuts,
        spoilt,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// However often, and wherever, processes are stopped, and whatever of their files is lost: the last one, which isn't,
    /// tells the same rows and the same ledger as one that did everything; and nobody asks for what is whole.
    #[test]
    fn the_joined_output_is_the_unbroken_one(
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
            if let Some((file, at)) = end.spoilt
                && let file = &files[file % files.len()]
                && fs::metadata(file).unwrap().len() > 0
            {
                lost = true;
                spoil(file, at);
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
        prop_assert_eq!(Seen { asked: unbroken.asked.clone(), ..last }, unbroken);
    }
}
