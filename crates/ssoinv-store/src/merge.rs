//! Sorts a task's rows by their [keys](RowKeys); of rows with the same key only the first that came in stays.
//!
//! Rows in memory are sorted by index, sorted runs are merged block by block.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use arrow_array::RecordBatch;
use arrow_select::interleave::interleave_record_batch;
use ssoinv_core::table::RowKeys;

use crate::error::StoreError;
use crate::segment::{BLOCK_BYTES, RunReader, SortedRun};

/// The most rows of a batch that leaves.
const MOST_ROWS: usize = 8192;

/// The approximate length of a batch that leaves, in bytes.
const BATCH_BYTES: usize = 1 << 20;

/// Returns the number of rows that take `bytes`, if `rows` rows take `size`.
fn rows_in(bytes: usize, size: usize, rows: usize) -> usize {
    (bytes / (size / rows.max(1)).max(1)).clamp(1, MOST_ROWS)
}

/// Rows in memory, sorted by index.
#[derive(Debug)]
pub(crate) struct SortedBatches {
    batches: Vec<RecordBatch>,
    /// Batch and row, in order.
    order: Vec<(usize, usize)>,
    at: usize,
    /// Rows that were left out since their key had come before.
    pub(crate) duplicates: u64,
    bytes: usize,
}

impl SortedBatches {
    pub(crate) fn new(batches: Vec<RecordBatch>) -> Self {
        let keys: Vec<RowKeys> = batches.iter().map(RowKeys::of).collect();
        let mut order: Vec<(usize, usize)> =
            Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
        for (index, batch) in batches.iter().enumerate() {
            order.extend((0..batch.num_rows()).map(|row| (index, row)));
        }
        // Stable: of equal keys the first that came in stays in front.
        order.sort_by(|&(one, row), &(other, other_row)| keys[one].compare(row, &keys[other], other_row));
        let all = order.len();
        order.dedup_by(|&mut (next, row), &mut (first, first_row)| {
            keys[next].same(row, &keys[first], first_row)
        });
        let duplicates = (all - order.len()) as u64;
        let bytes = batches.iter().map(RecordBatch::get_array_memory_size).sum();
        Self { batches, order, at: 0, duplicates, bytes }
    }

    /// Returns the next rows, about `bytes` of them.
    fn next(&mut self, bytes: usize) -> Result<Option<RecordBatch>, StoreError> {
        self.take(rows_in(bytes, self.bytes, self.order.len()))
    }

    /// Returns the next `rows` rows, or the rest.
    fn take(&mut self, rows: usize) -> Result<Option<RecordBatch>, StoreError> {
        let rest = &self.order[self.at..];
        let rows = rows.min(rest.len());
        let Some(&(first_batch, first_row)) = rest.first() else { return Ok(None) };
        let picked = &rest[..rows];
        self.at += rows;
        // Adjacent rows need no copy. Most tasks are one page, which is sorted already.
        let together =
            picked.iter().zip(first_row..).all(|(&(batch, row), next)| (batch, row) == (first_batch, next));
        if together {
            return Ok(Some(self.batches[first_batch].slice(first_row, rows)));
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        Ok(Some(interleave_record_batch(&batches, picked)?))
    }

    /// Returns all rows at once.
    pub(crate) fn all(mut self) -> Result<Option<RecordBatch>, StoreError> {
        self.take(self.order.len())
    }

    /// Returns all rows in blocks of the size on disk.
    pub(crate) fn blocks(mut self) -> impl Iterator<Item = Result<RecordBatch, StoreError>> {
        std::iter::from_fn(move || self.next(BLOCK_BYTES).transpose())
    }
}

/// A sorted source of rows.
enum Source {
    Memory(SortedBatches),
    Disk(RunReader),
}

impl Source {
    fn next(&mut self) -> Result<Option<RecordBatch>, StoreError> {
        match self {
            Self::Memory(sorted) => sorted.next(BLOCK_BYTES),
            Self::Disk(reader) => reader.next(),
        }
    }
}

/// The next row of a source. Ordered by key, then by the age of the source.
struct Head {
    keys: RowKeys,
    row: usize,
    source: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        self.keys.compare(self.row, &other.keys, other.row).then(self.source.cmp(&other.source))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

/// Merges sorted runs, oldest first, and rows in memory into one sorted stream of batches.
pub(crate) struct Merge {
    sources: Vec<Source>,
    /// The current block of each source.
    current: Vec<RecordBatch>,
    heads: BinaryHeap<Reverse<Head>>,
    /// The batch and index of the row that left last.
    last: Option<(RowKeys, usize)>,
    /// The approximate number of rows of a batch.
    rows: usize,
    /// Rows that were left out since their key had come before.
    pub(crate) duplicates: u64,
}

impl Merge {
    /// Prepares a merge of `runs` and of `memory`, which is younger.
    pub(crate) fn new(runs: Vec<SortedRun>, memory: Option<SortedBatches>) -> Result<Self, StoreError> {
        let duplicates = memory.as_ref().map_or(0, |memory| memory.duplicates);
        let mut sources: Vec<_> = runs.into_iter().map(|run| Source::Disk(RunReader::new(run))).collect();
        sources.extend(memory.map(Source::Memory));
        let mut merge =
            Self { sources, current: Vec::new(), heads: BinaryHeap::new(), last: None, rows: 1, duplicates };
        // A single source passes through, see `next`.
        if merge.sources.len() > 1 {
            merge.begin()?;
        }
        Ok(merge)
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        let mut filled = Vec::with_capacity(self.sources.len());
        for mut source in self.sources.drain(..) {
            if let Some(block) = source.next()? {
                filled.push(source);
                self.current.push(block);
            }
        }
        self.sources = filled;
        for (source, block) in self.current.iter().enumerate() {
            self.heads.push(Reverse(Head { keys: RowKeys::of(block), row: 0, source }));
        }
        let sizes = self.current.iter().map(RecordBatch::num_rows);
        // A block has about `BLOCK_BYTES`, if it isn't the only block of its run.
        self.rows = (sizes.max().unwrap_or(1) * (BATCH_BYTES / BLOCK_BYTES)).clamp(1, MOST_ROWS);
        Ok(())
    }

    /// Returns the next rows.
    pub(crate) fn next(&mut self) -> Result<Option<RecordBatch>, StoreError> {
        if let [only] = self.sources.as_mut_slice()
            && self.current.is_empty()
        {
            return match only {
                Source::Memory(sorted) => sorted.next(BATCH_BYTES),
                Source::Disk(reader) => reader.next(),
            };
        }
        // The blocks of the picked rows. `place` is the index in `blocks` of each source's current block.
        let mut blocks: Vec<RecordBatch> = Vec::new();
        let mut place: Vec<Option<usize>> = vec![None; self.sources.len()];
        let mut picked: Vec<(usize, usize)> = Vec::with_capacity(self.rows);
        while picked.len() < self.rows {
            let Some(Reverse(mut head)) = self.heads.pop() else { break };
            let last = self.last.as_ref();
            if last.is_some_and(|(keys, row)| head.keys.same(head.row, keys, *row)) {
                self.duplicates += 1;
            } else {
                let block = *place[head.source].get_or_insert_with(|| {
                    blocks.push(self.current[head.source].clone());
                    blocks.len() - 1
                });
                picked.push((block, head.row));
                self.last = Some((head.keys.clone(), head.row));
            }
            head.row += 1;
            if head.row == self.current[head.source].num_rows() {
                place[head.source] = None;
                let Some(block) = self.sources[head.source].next()? else { continue };
                head = Head { keys: RowKeys::of(&block), row: 0, ..head };
                self.current[head.source] = block;
            }
            self.heads.push(Reverse(head));
        }
        if picked.is_empty() {
            return Ok(None);
        }
        let blocks: Vec<&RecordBatch> = blocks.iter().collect();
        Ok(Some(interleave_record_batch(&blocks, &picked)?))
    }

    /// Returns all rows in blocks of the size on disk, for the run that the merge becomes.
    pub(crate) fn blocks(&mut self) -> impl Iterator<Item = Result<RecordBatch, StoreError>> {
        self.rows = (self.rows / (BATCH_BYTES / BLOCK_BYTES)).max(1);
        std::iter::from_fn(move || self.next().transpose())
    }
}
