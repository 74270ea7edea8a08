use std::fs;
use std::path::Path;
use std::thread;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::testing::{batch, push, rows_of};

type Row = (Option<String>, i64);

/// A queue of so many slots, each with one part.
fn queue(slots: usize, budget: usize) -> (RowQueue, Rows, TempDir) {
    let (queue, rows, state) = closed_queue(slots, budget);
    for slot in 0..slots {
        queue.open(slot, 1);
    }
    (queue, rows, state)
}

fn closed_queue(slots: usize, budget: usize) -> (RowQueue, Rows, TempDir) {
    let state = tempfile::tempdir().unwrap();
    let (queue, rows) = RowQueue::new(slots, budget, RunFolder::new(state.path(), "r1"));
    (queue, rows, state)
}

/// The only task of a slot.
fn only(slot: usize) -> TaskId {
    TaskId { slot, part: 0 }
}

fn on_disk(state: &Path) -> usize {
    fs::read_dir(state.join("runs/r1")).map_or(0, Iterator::count)
}

/// Everything that leaves, by task.
fn read(rows: &mut Rows) -> Vec<(usize, Vec<Row>)> {
    let tasks = read_parts(rows);
    tasks.into_iter().map(|(task, rows)| (task.slot, rows)).collect()
}

fn read_parts(rows: &mut Rows) -> Vec<(TaskId, Vec<Row>)> {
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
fn a_row_that_aws_gave_twice_leaves_once() {
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
fn what_is_too_much_goes_to_disk_and_the_disk_is_given_back() {
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
        queue.shared.state().held.values().next().unwrap().runs.iter().map(|run| run.level).collect();
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
fn after_an_interrupt_what_has_ended_leaves_and_the_rest_is_passed_over() {
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
fn a_reader_that_waits_is_woken_by_the_end() {
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
fn a_slot_waits_until_it_is_known_how_many_parts_it_has() {
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
    // Nobody knows yet what slot 0 has, so nothing may have left.
    assert!(receiver.try_recv().is_err());
    queue.open(0, 1);
    queue.skip(only(0));
    reader.join().unwrap();
    let left: Vec<_> = receiver.iter().map(|task| (task.slot, task.part)).collect();
    assert_eq!(left, [(1, 0), (1, 1), (3, 0)]);
}

#[test]
fn slots_that_nobody_opened_are_passed_over_at_the_end() {
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
fn rows_that_nobody_reads_are_let_go() {
    let (queue, rows, state) = queue(2, 0);
    let mut buffer = queue.task_buffer(only(0));
    push(&mut buffer, batch(&[(Some("a"), 1)])).unwrap();
    drop(rows);
    push(&mut buffer, batch(&[(Some("b"), 2)])).unwrap();
    buffer.finish();
    let mut other = queue.task_buffer(only(1));
    push(&mut other, batch(&[(Some("c"), 3)])).unwrap();
    let shared = queue.shared.state();
    assert_eq!((shared.waiting, shared.held.len(), shared.ended.len()), (0, 0, 0));
    drop(shared);
    assert_eq!(on_disk(state.path()), 2, "nothing but the first page was written");
}

#[test]
fn a_disk_that_says_no_reaches_both_sides() {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("state");
    fs::write(&file, "").unwrap();
    let (queue, mut rows) = RowQueue::new(3, 0, RunFolder::new(&file, "r1"));
    (0..3).for_each(|slot| queue.open(slot, 1));
    let mut buffer = queue.task_buffer(only(0));
    let error = push(&mut buffer, batch(&[(Some("a"), 1)])).unwrap_err();
    assert!(matches!(&error, StoreError::Disk { path, .. } if path.starts_with(&file)), "{error:?}");
    let mut other = queue.task_buffer(only(1));
    assert_eq!(push(&mut other, batch(&[(Some("a"), 1)])).unwrap_err().to_string(), error.to_string());
    // Not even what was finished without an error leaves: rows would be missing between.
    other.finish();
    queue.skip(only(0));
    assert_eq!(rows.next().unwrap().unwrap_err().to_string(), error.to_string());
    assert!(rows.next().is_none());
}

#[test]
fn rows_that_are_gone_from_the_disk_are_an_error_on_both_sides() {
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
fn a_thread_that_dies_while_it_writes_leaves_no_reader_waiting() {
    let (queue, mut rows, _state) = queue(1, 0);
    let mut buffer = queue.task_buffer(only(0));
    push(&mut buffer, batch(&[(Some("a"), 1)])).unwrap();
    buffer.finish();
    queue.shared.state().held.values_mut().for_each(|held| held.busy = true);
    let reader = thread::spawn(move || rows.next().unwrap().unwrap_err());
    drop(Unwritten { shared: &queue.shared });
    assert!(matches!(reader.join().unwrap(), StoreError::Abandoned));
}

#[test]
fn the_runner_uses_it_by_the_shared_words() {
    let (queue, mut rows, _state) = queue(2, 0);
    let store: &dyn RowStore = &queue;
    let mut task = store.begin(only(1));
    assert_eq!(task.push(batch(&[(Some("a"), 1)])).unwrap(), Room::Wanted);
    task.make_room().unwrap();
    task.finish();
    store.skip(only(0));
    assert_eq!(read(&mut rows), [(1, vec![row("a", 1)])]);
}

/// What one task does: pages of keys, where 0 is none; `None` where it is skipped.
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

/// What must leave, by the rules alone.
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// In whatever order pages come and tasks end, on however many threads, in memory or on disk: the same leaves.
    #[test]
    fn the_same_rows_leave_however_they_come(
        script in scripts(),
        budget in prop::sample::select(vec![0, 2_000, 10_000, 1 << 20]),
        threads in 1..4_usize,
        seed in any::<u64>(),
    ) {
        let (queue, mut rows, _state) = queue(script.len(), budget);
        let mut order: Vec<usize> = (0..script.len()).collect();
        order.sort_by_key(|&task| (task as u64 + 1).wrapping_mul(seed | 1));
        let read = thread::scope(|scope| {
            let (queue, script, order) = (&queue, &script, &order);
            for first in 0..threads {
                scope.spawn(move || {
                    for &task in order.iter().skip(first).step_by(threads) {
                        let Some(pages) = &script[task] else {
                            queue.skip(only(task));
                            continue;
                        };
                        let mut buffer = queue.task_buffer(only(task));
                        let mut number = 0;
                        for keys in pages {
                            push(&mut buffer, page(keys, &mut number)).unwrap();
                        }
                        buffer.finish();
                    }
                });
            }
            read(&mut rows)
        });
        prop_assert_eq!(read, expected(&script));
    }
}
