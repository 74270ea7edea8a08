//! Rows on disk: segments, and sorted runs in them.
//!
//! A *segment* is an append-only file in Arrow's IPC stream format: the schema, then record batches; any Arrow reader
//! reads it. Each table has its own, shared by all its tasks. A *sorted run* holds the rows that one task wrote at one
//! time: sorted by their keys, in blocks at known places of one segment. Runs of a few rows share a block. A segment
//! that is long enough is closed and another begun; its file is removed with its last run. Segments of a saved run stay,
//! and each of their blocks has a checksum: another process opens them again, however this process ended.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::MetadataVersion;
use arrow_ipc::reader::FileDecoder;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::run_folder::{RunFolder, new_file};

/// The length at which a segment is closed, in bytes. Short enough that disk space is freed during the run.
const SEGMENT_BYTES: u64 = 64 << 20;

/// The approximate length of a block, in bytes. A merge holds one block of each run in memory.
pub(crate) const BLOCK_BYTES: usize = 256 << 10;

/// A file of rows. Removed with its last sorted run, unless it belongs to a saved run.
#[derive(Debug)]
pub(crate) struct Segment {
    number: u32,
    path: PathBuf,
    /// True if the file outlives the process.
    saved: bool,
    schema: SchemaRef,
    file: Mutex<File>,
    /// Shared blocks that were read in part, the last used at the end. The runs of a block are read soon after each other.
    shared: Mutex<Vec<SharedBlock>>,
}

/// A block that several runs share, in memory.
#[derive(Debug)]
struct SharedBlock {
    offset: u64,
    batch: RecordBatch,
    /// Rows that haven't been read yet.
    unread: usize,
}

/// The most shared blocks of a segment in memory. Each has less than [`BLOCK_BYTES`], and tasks that ran at the same
/// time share some dozens of blocks.
const MOST_SHARED: usize = 64;

/// Length of the prefix of a message: a continuation mark and the message's length, four bytes each.
/// (Arrow, "IPC Encapsulated Message Format".)
const PREFIX: usize = 8;

/// Returns the length of a message with its prefix, without the record batch's values.
fn message_length(start: &[u8]) -> Option<usize> {
    let length = start.get(4..PREFIX)?.try_into().ok()?;
    usize::try_from(i32::from_le_bytes(length)).ok()?.checked_add(PREFIX)
}

/// Returns the first bytes of a segment: the schema's message.
fn head(schema: &SchemaRef) -> Result<Vec<u8>, StoreError> {
    Ok(StreamWriter::try_new_with_options(Vec::new(), schema, ipc_options()?)?.get_ref().clone())
}

fn ipc_options() -> Result<IpcWriteOptions, StoreError> {
    // Blocks are read into memory of their own, so there is no need to align the parts more than for an `i64`.
    Ok(IpcWriteOptions::try_new(8, false, MetadataVersion::V5)?)
}

impl Segment {
    fn new(number: u32, path: PathBuf, saved: bool, schema: &SchemaRef, file: File) -> Self {
        let (schema, file) = (Arc::clone(schema), Mutex::new(file));
        Self { number, path, saved, schema, file, shared: Mutex::default() }
    }

    /// Opens a segment of an earlier process.
    ///
    /// # Errors
    /// When the file can't be read, and when its schema is another one.
    pub(crate) fn reopen(folder: &Path, number: u32, schema: &SchemaRef) -> Result<Self, StoreError> {
        let path = folder.join(name_of(number));
        let file = File::open(&path).map_err(StoreError::disk("open", &path))?;
        let segment = Self::new(number, path, true, schema, file);
        // Compared byte by byte, so that a damaged schema is never decoded.
        let own = head(schema)?;
        if *segment.read(0, own.len())? == *own {
            Ok(segment)
        } else {
            Err(ArrowError::SchemaError("a segment has rows of another table".to_owned()).into())
        }
    }

    /// Returns true if the rows have this schema.
    pub(crate) fn has_schema(&self, schema: &SchemaRef) -> bool {
        same(&self.schema, schema)
    }

    fn read(&self, offset: u64, len: usize) -> Result<Buffer, StoreError> {
        let mut bytes = vec![0; len];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(StoreError::disk("read", &self.path))?;
        Ok(Buffer::from(bytes))
    }

    /// Reads the rows of a block.
    fn rows(&self, block: &Block) -> Result<RecordBatch, StoreError> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let known = shared.iter().position(|known| known.offset == block.offset);
        let mut whole = if let Some(known) = known {
            shared.remove(known)
        } else {
            let batch = self.decode(block)?;
            SharedBlock { offset: block.offset, unread: batch.num_rows(), batch }
        };
        let rows = block.of(&whole.batch)?;
        whole.unread = whole.unread.saturating_sub(block.rows);
        if whole.unread > 0 {
            if shared.len() == MOST_SHARED {
                shared.remove(0);
            }
            shared.push(whole);
        }
        Ok(rows)
    }

    fn decode(&self, block: &Block) -> Result<RecordBatch, StoreError> {
        let not_one = || StoreError::from(ArrowError::IpcError("a block is not one record batch".to_owned()));
        let bytes = self.read(block.offset, block.length)?;
        let message = message_length(&bytes).filter(|length| *length <= bytes.len()).ok_or_else(not_one)?;
        let size = |size: usize| i32::try_from(size).map_err(|_| not_one());
        let place = arrow_ipc::Block::new(0, size(message)?, size(bytes.len() - message)?.into());
        // Decoded with the schema object of the writer, so that later comparisons of schemas compare pointers.
        let decoder = FileDecoder::new(Arc::clone(&self.schema), MetadataVersion::V5);
        decoder.read_record_batch(&place, &bytes)?.ok_or_else(not_one)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if !self.saved {
            // Left over files are removed with their folder.
            let _removed_with_its_folder = fs::remove_file(&self.path);
        }
    }
}

fn name_of(number: u32) -> String {
    format!("segment-{number:06}.arrows")
}

/// A writer that counts its bytes, and sums them up if asked to.
#[derive(Debug)]
struct CountingWriter<W> {
    inner: W,
    written: u64,
    sum: Option<crc32fast::Hasher>,
}

impl<W: Write> Write for CountingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.written += written as u64;
        if let Some(sum) = &mut self.sum {
            sum.update(&bytes[..written]);
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The segment of one table that is being appended to.
struct OpenSegment {
    segment: Arc<Segment>,
    writer: StreamWriter<CountingWriter<BufWriter<File>>>,
    /// The same file.
    file: Arc<SegmentFile>,
}

/// A file of a saved run, for syncing.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    file: File,
    path: PathBuf,
}

impl SegmentFile {
    /// Syncs the file to the disk.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(StoreError::disk("write", &self.path))
    }
}

/// The segments of a run that are being appended to, one for each table.
pub(crate) struct Segments {
    open: Vec<OpenSegment>,
    /// Segments made so far.
    made: u32,
    unsynced: Vec<Arc<SegmentFile>>,
    // Declared behind the files, so that they are closed before the folder is removed.
    folder: RunFolder,
}

/// Rows of a record batch on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Block {
    offset: u64,
    length: usize,
    /// The CRC-32 of its bytes, in segments of saved runs.
    sum: u32,
    /// The first row of the run in the batch.
    first: usize,
    /// Rows of the run in the batch.
    rows: usize,
}

impl Block {
    /// Takes the run's rows out of the batch.
    fn of(&self, batch: &RecordBatch) -> Result<RecordBatch, StoreError> {
        if self.first.checked_add(self.rows).is_none_or(|end| end > batch.num_rows()) {
            return Err(ArrowError::IpcError("a block has fewer rows than were written".to_owned()).into());
        }
        Ok(batch.slice(self.first, self.rows))
    }
}

/// The place of a sorted run in a saved run's segments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SortedRunLocation {
    pub(crate) segment: u32,
    level: u32,
    rows: usize,
    blocks: Vec<Block>,
}

/// Sorted rows of one task, on disk.
#[derive(Debug)]
pub(crate) struct SortedRun {
    segment: Arc<Segment>,
    blocks: Vec<Block>,
    /// Number of merges that its rows went through.
    pub(crate) level: u32,
    /// Number of rows.
    pub(crate) rows: usize,
}

impl SortedRun {
    pub(crate) fn location(&self) -> SortedRunLocation {
        let Self { segment, blocks, level, rows } = self;
        SortedRunLocation { segment: segment.number, level: *level, rows: *rows, blocks: blocks.clone() }
    }

    /// Returns the run at a location, if the checksums of all its blocks are right.
    pub(crate) fn verified(segment: Arc<Segment>, stored: SortedRunLocation) -> Option<Self> {
        for block in &stored.blocks {
            let bytes = segment.read(block.offset, block.length).ok()?;
            if crc32fast::hash(&bytes) != block.sum {
                return None;
            }
        }
        Some(Self { segment, blocks: stored.blocks, level: stored.level, rows: stored.rows })
    }
}

impl Segments {
    /// Prepares segments in a folder; the first is numbered `made + 1`.
    pub(crate) fn new(folder: RunFolder, made: u32) -> Self {
        Self { open: Vec::new(), made, unsynced: Vec::new(), folder }
    }

    /// Returns the number of the last segment in a folder.
    pub(crate) fn last_in(folder: &Path) -> Result<u32, StoreError> {
        let number = |entry: fs::DirEntry| {
            let name = entry.file_name();
            name.to_str()?.strip_prefix("segment-")?.strip_suffix(".arrows")?.parse::<u32>().ok()
        };
        let entries = fs::read_dir(folder).map_err(StoreError::disk("read", folder))?;
        Ok(entries.filter_map(Result::ok).filter_map(number).max().unwrap_or(0))
    }

    /// Takes the files that were written to since the last call, for syncing.
    pub(crate) fn take_unsynced(&mut self) -> Vec<Arc<SegmentFile>> {
        std::mem::take(&mut self.unsynced)
    }

    /// Writes the batches of `blocks` as one sorted run; returns none if there are no rows.
    pub(crate) fn write(
        &mut self,
        schema: &SchemaRef,
        level: u32,
        blocks: impl Iterator<Item = Result<RecordBatch, StoreError>>,
    ) -> Result<Option<SortedRun>, StoreError> {
        let index = match self.open.iter().position(|open| same(&open.segment.schema, schema)) {
            Some(index) => index,
            None => self.open_segment(schema)?,
        };
        let OpenSegment { segment, writer, file } = &mut self.open[index];
        if segment.saved && !self.unsynced.iter().any(|known| Arc::ptr_eq(known, file)) {
            self.unsynced.push(Arc::clone(file));
        }
        let mut run = SortedRun { segment: Arc::clone(segment), blocks: Vec::new(), level, rows: 0 };
        for block in blocks {
            let block = block?;
            let counted = writer.get_mut();
            let offset = counted.written;
            counted.sum = segment.saved.then(crc32fast::Hasher::new);
            writer.write(&block).map_err(StoreError::arrow_disk("write", &segment.path))?;
            let counted = writer.get_mut();
            // A block fits in memory, so its length fits in `usize`.
            let length = usize::try_from(counted.written - offset).unwrap_or(usize::MAX);
            let sum = counted.sum.take().map_or(0, crc32fast::Hasher::finalize);
            let rows = block.num_rows();
            run.blocks.push(Block { offset, length, sum, first: 0, rows });
            run.rows += rows;
        }
        // The reader may read the run at once.
        writer.flush().map_err(StoreError::arrow_disk("write", &segment.path))?;
        if writer.get_ref().written >= SEGMENT_BYTES {
            writer.finish().map_err(StoreError::arrow_disk("write", &segment.path))?;
            self.open.swap_remove(index);
        }
        Ok((run.rows > 0).then_some(run))
    }

    /// Writes the rows of several tasks as one block and returns the run of each.
    pub(crate) fn write_together(
        &mut self,
        schema: &SchemaRef,
        tasks: &[RecordBatch],
    ) -> Result<Vec<SortedRun>, StoreError> {
        let Some(all) = self.write(schema, 0, std::iter::once(Ok(concat_batches(schema, tasks)?)))? else {
            return Ok(Vec::new());
        };
        let mut first = 0;
        let mut run = |task: &RecordBatch| {
            let rows = task.num_rows();
            let blocks = all.blocks.iter().map(|block| Block { first, rows, ..*block }).collect();
            first += rows;
            SortedRun { segment: Arc::clone(&all.segment), blocks, level: 0, rows }
        };
        Ok(tasks.iter().map(&mut run).collect())
    }

    fn open_segment(&mut self, schema: &SchemaRef) -> Result<usize, StoreError> {
        self.made += 1;
        let path = self.folder.create()?.join(name_of(self.made));
        let file = new_file(&path)?;
        let again = file.try_clone().map_err(StoreError::disk("open", &path))?;
        let unsynced = Arc::new(SegmentFile { file: again, path: path.clone() });
        let writer =
            CountingWriter { inner: BufWriter::with_capacity(BLOCK_BYTES, file), written: 0, sum: None };
        let mut writer = StreamWriter::try_new_with_options(writer, schema, ipc_options()?)
            .map_err(StoreError::arrow_disk("write", &path))?;
        writer.flush().map_err(StoreError::arrow_disk("write", &path))?;
        let file = File::open(&path).map_err(StoreError::disk("open", &path))?;
        let segment = Segment::new(self.made, path, self.folder.is_saved(), schema, file);
        self.open.push(OpenSegment { segment: Arc::new(segment), writer, file: unsynced });
        Ok(self.open.len() - 1)
    }
}

fn same(one: &SchemaRef, other: &SchemaRef) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

impl std::fmt::Debug for Segments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segments")
            .field("folder", &self.folder)
            .field("made", &self.made)
            .finish_non_exhaustive()
    }
}

/// Reads the blocks of a sorted run, one at a time.
pub(crate) struct RunReader {
    run: SortedRun,
    next: usize,
}

impl RunReader {
    pub(crate) fn new(run: SortedRun) -> Self {
        Self { run, next: 0 }
    }

    pub(crate) fn next(&mut self) -> Result<Option<RecordBatch>, StoreError> {
        let Some(block) = self.run.blocks.get(self.next) else { return Ok(None) };
        self.next += 1;
        self.run.segment.rows(block).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use arrow_ipc::reader::StreamReader;

    use super::*;
    use crate::testing::{batch, rows_of};

    fn read(run: SortedRun) -> Vec<(Option<String>, i64)> {
        let mut reader = RunReader::new(run);
        let mut rows = Vec::new();
        while let Some(batch) = reader.next().unwrap() {
            rows.extend(rows_of(&batch));
        }
        rows
    }

    fn files(state: &tempfile::TempDir) -> usize {
        fs::read_dir(state.path().join("runs/r1")).map_or(0, Iterator::count)
    }

    #[test]
    fn runs_of_a_table_share_a_segment_and_read_back() {
        let state = tempfile::tempdir().unwrap();
        let mut segments = Segments::new(RunFolder::new(state.path(), "r1"), 0);
        let one = batch(&[(Some("a"), 1), (None, 2)]);
        let two = batch(&[(Some("ü€😀\n"), 3)]);
        let first = segments.write(&one.schema(), 0, [Ok(one.clone()), Ok(two.clone())].into_iter()).unwrap();
        let second = segments.write(&one.schema(), 0, [Ok(two.clone())].into_iter()).unwrap();
        assert!(segments.write(&one.schema(), 0, std::iter::empty()).unwrap().is_none());
        assert_eq!(files(&state), 2, "the lock and one segment");
        assert_eq!(read(second.unwrap()), rows_of(&two));
        assert_eq!(read(first.unwrap()), [rows_of(&one), rows_of(&two)].concat());
    }

    #[test]
    fn a_segment_is_a_stream_that_any_arrow_reader_reads() {
        let state = tempfile::tempdir().unwrap();
        let mut segments = Segments::new(RunFolder::new(state.path(), "r1"), 0);
        let one = batch(&[(Some("a"), 1)]);
        let run = segments.write(&one.schema(), 0, [Ok(one.clone())].into_iter()).unwrap().unwrap();
        let reader = StreamReader::try_new(File::open(&run.segment.path).unwrap(), None).unwrap();
        assert_eq!(reader.collect::<Result<Vec<_>, _>>().unwrap(), [one]);
    }

    #[test]
    fn tasks_that_share_a_block_keep_their_rows() {
        let state = tempfile::tempdir().unwrap();
        let mut segments = Segments::new(RunFolder::new(state.path(), "r1"), 0);
        let tasks = [
            batch(&[(Some("a"), 1), (None, 2)]),
            batch(&[(Some("ü"), 3)]),
            RecordBatch::new_empty(batch(&[]).schema()),
            batch(&[(None, 4), (Some("b"), 5)]),
        ];
        let mut runs = segments.write_together(&tasks[0].schema(), &tasks).unwrap();
        assert!(
            runs.iter().all(|run| run.blocks.len() == 1 && run.blocks[0].offset == runs[0].blocks[0].offset)
        );
        // In any order, and with other blocks between them.
        for index in [3, 1, 0] {
            segments.write(&tasks[0].schema(), 0, [Ok(tasks[1].clone())].into_iter()).unwrap();
            assert_eq!(read(runs.remove(index.min(runs.len() - 1))), rows_of(&tasks[index]));
        }
        assert_eq!(read(runs.remove(0)), []);
    }

    #[test]
    fn a_block_with_too_few_rows_is_an_error() {
        let state = tempfile::tempdir().unwrap();
        let mut segments = Segments::new(RunFolder::new(state.path(), "r1"), 0);
        let rows = batch(&[(Some("a"), 1), (None, 2)]);
        let mut run = segments.write(&rows.schema(), 0, [Ok(rows.clone())].into_iter()).unwrap().unwrap();
        run.blocks[0].first = usize::MAX;
        assert!(RunReader::new(run).next().is_err());
    }

    #[test]
    fn a_segment_with_a_damaged_schema_is_not_reopened() {
        let state = tempfile::tempdir().unwrap();
        let mut segments = Segments::new(RunFolder::new(state.path(), "r1"), 0);
        let schema = batch(&[]).schema();
        segments.write(&schema, 0, [Ok(batch(&[(Some("a"), 1)]))].into_iter()).unwrap();
        let folder = state.path().join("runs/r1");
        let file = folder.join(name_of(1));
        let good = fs::read(&file).unwrap();
        let open = || Segment::reopen(&folder, 1, &schema).is_ok();
        assert!(open());
        for at in 0..head(&schema).unwrap().len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x40;
            fs::write(&file, bytes).unwrap();
            assert!(!open(), "byte {at}");
        }
        fs::write(&file, &good[..head(&schema).unwrap().len() - 1]).unwrap();
        assert!(!open());
    }

    #[test]
    fn a_long_segment_is_closed_and_goes_with_its_last_run() {
        let state = tempfile::tempdir().unwrap();
        let mut segments = Segments::new(RunFolder::new(state.path(), "r1"), 0);
        let text = "x".repeat(1 << 20);
        let rows: Vec<_> = (0..8).map(|number| (Some(text.as_str()), number)).collect();
        let big = batch(&rows);
        let runs: Vec<_> = (0..9)
            .map(|_| segments.write(&big.schema(), 0, [Ok(big.clone())].into_iter()).unwrap().unwrap())
            .collect();
        assert_eq!(files(&state), 3, "the lock and two segments of 64 MiB at most");
        drop(runs);
        assert_eq!(files(&state), 2, "the one that is open stays");
    }
}
