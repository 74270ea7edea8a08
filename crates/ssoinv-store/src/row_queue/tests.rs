use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::queue_state::{AbandonGuard, FAN_IN};
use crate::testing::{batch, push, rows_of};

type Row = (Option<String>, i64);

/// Makes a queue of `slots` slots, each with one part.
fn queue(slots: usize, budget: usize) -> (RowQueue, RowReader, TempDir) {
    let (queue, rows, state) = closed_queue(slots, budget);
    for slot in 0..slots {
        queue.open(slot, 1);
    }
    (queue, rows, state)
}

fn closed_queue(slots: usize, budget: usize) -> (RowQueue, RowReader, TempDir) {
    let state = tempfile::tempdir().unwrap();
    let (queue, rows) = RowQueue::new(slots, RowOrder::Plan, budget, RunFolder::new(state.path(), "r1"));
    (queue, rows, state)
}

/// Returns the only task of a slot.
fn only(slot: usize) -> TaskId {
    TaskId { slot, part: 0 }
}

fn on_disk(state: &Path) -> usize {
    fs::read_dir(state.join("runs/r1")).map_or(0, Iterator::count)
}

/// Reads all rows, by task.
fn read(rows: &mut RowReader) -> Vec<(usize, Vec<Row>)> {
    let tasks = read_parts(rows);
    tasks.into_iter().map(|(task, rows)| (task.slot, rows)).collect()
}

fn read_parts(rows: &mut RowReader) -> Vec<(TaskId, Vec<Row>)> {
    let mut tasks: Vec<(TaskId, Vec<Row>)> = Vec::new();
    for item in rows {
        let (task, batch) = item.unwrap();
        match tasks.last_mut() {
            Some((last, all)) if *last == task => all.extend(rows_of(&batch)),
            _ => tasks.push((task, rows_of(&batch))),
        }
    }
    tasks
}

fn row(key: &str, number: i64) -> Row {
    (Some(key.to_owned()), number)
}

#[test]
fn rows_leave_sorted_in_the_order_of_the_plan() {
    let (queue, mut rows, state) = queue(4, 1 << 20);
    let mut second = queue.task_buffer(only(1));
    let mut last = queue.task_buffer(only(3));
    push(&mut last, batch(&[(Some("z"), 1), (None, 2), (Some("b"), 3)])).unwrap();
    last.finish();
    queue.skip(only(2));
    push(&mut second, batch(&[(Some("y"), 4)])).unwrap();
    push(&mut second, batch(&[])).unwrap();
    push(&mut second, batch(&[(None, 5), (Some("x"), 6)])).unwrap();
    second.finish();
    queue.task_buffer(only(0)).finish();
    assert_eq!(
        read(&mut rows),
        [(1, vec![row("x", 6), row("y", 4), (None, 5)]), (3, vec![row("b", 3), row("z", 1), (None, 2)]),]
    );
    assert!(rows.next().is_none());
    assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0, "a small run never touches the disk");
}

#[test]
fn a_row_that_aws_returned_twice_leaves_once() {
    // In memory, and with every page on disk.
    for budget in [1 << 20, 0] {
        let (queue, mut rows, _state) = queue(2, budget);
        for task in 0..2 {
            let mut buffer = queue.task_buffer(only(task));
            push(&mut buffer, batch(&[(Some("b"), 1), (Some("a"), 2), (Some("b"), 3)])).unwrap();
            push(&mut buffer, batch(&[(Some("b"), 4), (None, 5), (None, 5), (Some("c"), 6)])).unwrap();
            buffer.finish();
        }
        let once = vec![row("a", 2), row("b", 1), row("c", 6), (None, 5), (None, 5)];
        assert_eq!(read(&mut rows), [(0, once.clone()), (1, once)], "the same ARN in two tasks is two rows");
        assert_eq!(rows.duplicates(), &BTreeMap::from([(only(0), 2), (only(1), 2)]));
    }
}

#[test]
fn rows_beyond_the_budget_go_to_disk_and_free_it() {
    let (queue, mut rows, state) = queue(2, 64 << 10);
    let mut late = queue.task_buffer(only(0));
    let mut big = queue.task_buffer(only(1));
    let mut expected = Vec::new();
    for page in 0..200 {
        // Pages overlap by one row, and come in no order.
        let keys: Vec<String> =
            (0..100).map(|row| format!("{:06}", (page * 99 + row) * 7919 % 100_003)).collect();
        let page: Vec<_> = keys.iter().map(|key| (Some(key.as_str()), key.parse().unwrap())).collect();
        expected.extend(page.iter().map(|&(key, number)| row(key.unwrap(), number)));
        push(&mut big, batch(&page)).unwrap();
    }
    expected.sort();
    expected.dedup();
    big.finish();
    push(&mut late, batch(&[(Some("only"), 1)])).unwrap();
    late.finish();
    assert_eq!(on_disk(state.path()), 2, "the lock and one segment");
    assert!(queue.shared.state().waiting <= 32 << 10);
    let first = rows.next().unwrap().unwrap();
    assert_eq!((first.0, rows_of(&first.1)), (only(0), vec![row("only", 1)]));
    let tasks = read(&mut rows);
    assert_eq!(tasks.len(), 1);
    assert!(tasks[0].1 == expected, "{} rows, {} expected", tasks[0].1.len(), expected.len());
    assert_eq!(rows.duplicates()[&only(1)], 199);
    drop((queue, rows));
    assert_eq!(on_disk(state.path()), 0);
}

#[test]
fn a_task_never_has_more_than_some_dozens_of_runs() {
    let (queue, mut rows, _state) = queue(1, 0);
    let mut buffer = queue.task_buffer(only(0));
    let pages = FAN_IN * FAN_IN + FAN_IN + 1;
    for page in 0..pages {
        let number = i64::try_from(page).unwrap();
        push(&mut buffer, batch(&[(Some(&format!("{:05}", pages - page)), number), (Some("same"), number)]))
            .unwrap();
    }
    let levels: Vec<u32> =
        queue.shared.state().buffers.values().next().unwrap().runs.iter().map(|run| run.level).collect();
    assert_eq!(levels, [2, 1, 0]);
    buffer.finish();
    let mut expected: Vec<_> = (0..pages)
        .rev()
        .map(|page| row(&format!("{:05}", pages - page), i64::try_from(page).unwrap()))
        .collect();
    expected.push(row("same", 0));
    assert_eq!(read(&mut rows), [(0, expected)], "of a key that comes again the oldest row stays");
    assert_eq!(rows.duplicates()[&only(0)], pages as u64 - 1);
}

#[test]
fn a_closed_queue_passes_over_unfinished_tasks() {
    let (queue, mut rows, _state) = queue(4, 1 << 20);
    let mut unfinished = queue.task_buffer(only(0));
    push(&mut unfinished, batch(&[(Some("half"), 1)])).unwrap();
    for task in [1, 3] {
        let mut buffer = queue.task_buffer(only(task));
        push(&mut buffer, batch(&[(Some("whole"), 2)])).unwrap();
        buffer.finish();
    }
    queue.close();
    assert_eq!(read(&mut rows), [(1, vec![row("whole", 2)]), (3, vec![row("whole", 2)])]);
}

#[test]
fn a_waiting_reader_is_woken_by_the_end() {
    let (queue, mut rows, _state) = queue(2, 1 << 20);
    let reader = thread::spawn(move || read(&mut rows));
    let mut buffer = queue.task_buffer(only(1));
    push(&mut buffer, batch(&[(Some("a"), 1)])).unwrap();
    buffer.finish();
    queue.skip(only(0));
    assert_eq!(reader.join().unwrap(), [(1, vec![row("a", 1)])]);

    let (queue, mut rows, _state) = self::queue(1, 1 << 20);
    let reader = thread::spawn(move || read(&mut rows));
    drop(queue);
    assert_eq!(reader.join().unwrap(), []);
}

#[test]
fn a_slot_waits_until_its_parts_are_known() {
    let (queue, mut rows, _state) = closed_queue(4, 1 << 20);
    let push = |slot: usize, part: usize, key: &str| {
        let mut buffer = queue.task_buffer(TaskId { slot, part });
        push(&mut buffer, batch(&[(Some(key), 1)])).unwrap();
        buffer.finish();
    };
    queue.open(2, 0);
    queue.open(3, 1);
    push(3, 0, "last");
    queue.open(1, 2);
    push(1, 1, "second");
    push(1, 0, "first");
    let (sender, receiver) = std::sync::mpsc::channel();
    let reader = thread::spawn(move || {
        for item in &mut rows {
            sender.send(item.unwrap().0).unwrap();
        }
    });
    // The parts of slot 0 aren't known, so no row may have left.
    assert!(receiver.try_recv().is_err());
    queue.open(0, 1);
    queue.skip(only(0));
    reader.join().unwrap();
    let left: Vec<_> = receiver.iter().map(|task| (task.slot, task.part)).collect();
    assert_eq!(left, [(1, 0), (1, 1), (3, 0)]);
}

#[test]
fn a_closed_queue_passes_over_unopened_slots() {
    let (queue, mut rows, _state) = closed_queue(3, 1 << 20);
    queue.open(1, 3);
    let mut buffer = queue.task_buffer(TaskId { slot: 1, part: 2 });
    push(&mut buffer, batch(&[(Some("a"), 1)])).unwrap();
    buffer.finish();
    queue.close();
    assert_eq!(read_parts(&mut rows), [(TaskId { slot: 1, part: 2 }, vec![row("a", 1)])]);
}

#[test]
fn a_task_that_begins_anew_has_only_its_new_rows() {
    for budget in [1 << 20, 0] {
        let (queue, mut rows, _state) = queue(1, budget);
        let mut first = queue.task_buffer(only(0));
        push(&mut first, batch(&[(Some("refused later"), 1)])).unwrap();
        drop(first);
        assert_eq!(queue.shared.state().waiting, 0);
        let mut second = queue.task_buffer(only(0));
        push(&mut second, batch(&[(Some("answered"), 2)])).unwrap();
        second.finish();
        assert_eq!(read(&mut rows), [(0, vec![row("answered", 2)])]);
    }
}

#[test]
fn rows_without_a_reader_are_discarded() {
    let (queue, rows, state) = queue(2, 0);
    let mut buffer = queue.task_buffer(only(0));
    push(&mut buffer, batch(&[(Some("a"), 1)])).unwrap();
    drop(rows);
    push(&mut buffer, batch(&[(Some("b"), 2)])).unwrap();
    buffer.finish();
    let mut other = queue.task_buffer(only(1));
    push(&mut other, batch(&[(Some("c"), 3)])).unwrap();
    let shared = queue.shared.state();
    assert_eq!((shared.waiting, shared.buffers.len(), shared.is_drained()), (0, 0, true));
    drop(shared);
    assert_eq!(on_disk(state.path()), 2, "nothing but the first page was written");
}

#[test]
fn a_disk_error_reaches_both_sides() {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("state");
    fs::write(&file, "").unwrap();
    let (queue, mut rows) = RowQueue::new(3, RowOrder::Plan, 0, RunFolder::new(&file, "r1"));
    (0..3).for_each(|slot| queue.open(slot, 1));
    let mut buffer = queue.task_buffer(only(0));
    let error = push(&mut buffer, batch(&[(Some("a"), 1)])).unwrap_err();
    assert!(matches!(&error, StoreError::Disk { path, .. } if path.starts_with(&file)), "{error:?}");
    let mut other = queue.task_buffer(only(1));
    assert_eq!(push(&mut other, batch(&[(Some("a"), 1)])).unwrap_err().to_string(), error.to_string());
    // Tasks that finished without an error don't leave either: rows between them would be missing.
    other.finish();
    queue.skip(only(0));
    assert_eq!(rows.next().unwrap().unwrap_err().to_string(), error.to_string());
    assert!(rows.next().is_none());
}

#[test]
fn lost_rows_are_an_error_on_both_sides() {
    let (queue, mut rows, state) = queue(2, 0);
    let mut buffer = queue.task_buffer(only(0));
    push(&mut buffer, batch(&[(Some("a"), 1)])).unwrap();
    buffer.finish();
    let segment = state.path().join("runs/r1/segment-000001.arrows");
    fs::OpenOptions::new().write(true).open(&segment).unwrap().set_len(10).unwrap();
    let error = rows.next().unwrap().unwrap_err();
    assert!(matches!(&error, StoreError::Disk { path, .. } if *path == segment), "{error:?}");
    assert!(rows.next().is_none());
    push(&mut queue.task_buffer(only(1)), batch(&[(Some("b"), 2)])).unwrap_err();
}

#[test]
fn a_panic_while_writing_wakes_the_reader() {
    let (queue, mut rows, _state) = queue(1, 0);
    let mut buffer = queue.task_buffer(only(0));
    push(&mut buffer, batch(&[(Some("a"), 1)])).unwrap();
    buffer.finish();
    queue.shared.state().buffers.values_mut().for_each(|buffer| buffer.busy = true);
    let reader = thread::spawn(move || rows.next().unwrap().unwrap_err());
    drop(AbandonGuard { shared: &queue.shared });
    assert!(matches!(reader.join().unwrap(), StoreError::Abandoned));
}

#[test]
fn the_runner_uses_the_queue_as_a_row_store() {
    let (queue, mut rows, _state) = queue(2, 0);
    let store: &dyn RowStore = &queue;
    let mut task = store.begin(only(1));
    assert_eq!(task.push(batch(&[(Some("a"), 1)])).unwrap(), Backpressure::Full);
    task.make_room().unwrap();
    task.finish();
    store.skip(only(0));
    assert_eq!(read(&mut rows), [(1, vec![row("a", 1)])]);
}

/// The pages of keys of each task, where 0 is no key; `None` for a skipped task.
type Script = Vec<Option<Vec<Vec<u8>>>>;

fn scripts() -> impl Strategy<Value = Script> {
    let pages = prop::collection::vec(prop::collection::vec(0..40_u8, 0..12), 0..8);
    prop::collection::vec(prop::option::weighted(0.8, pages), 1..8)
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

/// Returns the rows that must leave, by the rules alone.
fn expected(script: &Script) -> Vec<(usize, Vec<Row>)> {
    let mut expected = Vec::new();
    for (task, pages) in script.iter().enumerate() {
        let mut number = 0;
        let pages = pages.iter().flatten().map(|keys| page(keys, &mut number));
        let all: Vec<Row> = pages.flat_map(|page| rows_of(&page)).collect();
        let mut keyed: BTreeMap<String, i64> = BTreeMap::new();
        for (key, number) in &all {
            if let Some(key) = key {
                keyed.entry(key.clone()).or_insert(*number);
            }
        }
        let mut rows: Vec<Row> = keyed.into_iter().map(|(key, number)| (Some(key), number)).collect();
        rows.extend(all.into_iter().filter(|(key, _)| key.is_none()));
        if !rows.is_empty() {
            expected.push((task, rows));
        }
    }
    expected
}

/// Runs a script on some threads, in an order that `seed` decides, and reads the queue meanwhile.
fn run(script: &Script, order: RowOrder, budget: usize, threads: usize, seed: u64) -> Vec<(usize, Vec<Row>)> {
    let state = tempfile::tempdir().unwrap();
    let (queue, mut rows) = RowQueue::new(script.len(), order, budget, RunFolder::new(state.path(), "r1"));
    let mut tasks: Vec<usize> = (0..script.len()).collect();
    tasks.sort_by_key(|&task| (task as u64 + 1).wrapping_mul(seed | 1));
    thread::scope(|scope| {
        let (queue, tasks) = (&queue, &tasks);
        for first in 0..threads {
            scope.spawn(move || {
                for &task in tasks.iter().skip(first).step_by(threads) {
                    // Some slots are opened before their tasks end, others behind.
                    let late = task % 2 == 1;
                    if !late {
                        queue.open(task, 1);
                    }
                    if let Some(pages) = &script[task] {
                        let mut buffer = queue.task_buffer(only(task));
                        let mut number = 0;
                        for keys in pages {
                            push(&mut buffer, page(keys, &mut number)).unwrap();
                        }
                        buffer.finish();
                    } else {
                        queue.skip(only(task));
                    }
                    if late {
                        queue.open(task, 1);
                    }
                }
            });
        }
        read(&mut rows)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// In whatever order pages come and tasks end, on any number of threads, in memory or on disk: the same rows leave.
    #[test]
    fn the_same_rows_leave_however_they_come(
        script in scripts(),
        budget in prop::sample::select(vec![0, 2_000, 10_000, 1 << 20]),
        threads in 1..4_usize,
        seed in any::<u64>(),
    ) {
        prop_assert_eq!(run(&script, RowOrder::Plan, budget, threads, seed), expected(&script));
    }

    /// The same tasks leave in any order, each once and as one unit.
    #[test]
    fn the_same_tasks_leave_in_order_of_arrival(
        script in scripts(),
        budget in prop::sample::select(vec![0, 2_000, 10_000, 1 << 20]),
        threads in 1..4_usize,
        seed in any::<u64>(),
    ) {
        let mut read = run(&script, RowOrder::Arrival, budget, threads, seed);
        read.sort_by_key(|(task, _)| *task);
        prop_assert_eq!(read, expected(&script));
    }
}

#[test]
fn a_task_leaves_before_earlier_tasks_have_ended() {
    // In memory, and with every page on disk.
    for budget in [1 << 20, 0] {
        let state = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(state.path(), "r1");
        let (queue, mut rows) = RowQueue::new(3, RowOrder::Arrival, budget, folder);
        let mut first = queue.task_buffer(only(0));
        push(&mut first, batch(&[(Some("a"), 1)])).unwrap();
        for (task, key) in [(2, "c"), (1, "b")] {
            let mut buffer = queue.task_buffer(only(task));
            push(&mut buffer, batch(&[(Some(key), 1)])).unwrap();
            buffer.finish();
        }
        // Neither the unfinished task nor the unopened slots hold them up.
        let next = |rows: &mut RowReader| rows.next().unwrap().unwrap().0.slot;
        assert_eq!((next(&mut rows), next(&mut rows)), (2, 1));
        assert!(queue.shared.state().waiting <= budget / 2, "budget {budget}");
        (0..3).for_each(|slot| queue.open(slot, 1));
        first.finish();
        assert_eq!(next(&mut rows), 0);
        assert!(rows.next().is_none());
    }
}

#[test]
fn a_closed_queue_ends_in_order_of_arrival_too() {
    let state = tempfile::tempdir().unwrap();
    let folder = RunFolder::new(state.path(), "r1");
    let (queue, mut rows) = RowQueue::new(3, RowOrder::Arrival, 1 << 20, folder);
    queue.open(1, 2);
    let mut unfinished = queue.task_buffer(TaskId { slot: 1, part: 0 });
    push(&mut unfinished, batch(&[(Some("half"), 1)])).unwrap();
    let mut finished = queue.task_buffer(TaskId { slot: 1, part: 1 });
    push(&mut finished, batch(&[(Some("whole"), 2)])).unwrap();
    finished.finish();
    queue.close();
    assert_eq!(read_parts(&mut rows), [(TaskId { slot: 1, part: 1 }, vec![row("whole", 2)])]);
}
