//! NDJSON: one object a line. Of several tables each line says its own, in a first member `table`.

use arrow_array::RecordBatch;
use arrow_schema::Schema;

use crate::error::OutputError;
use crate::json::Objects;
use crate::sink::{Options, Sink};

pub(crate) struct NdjsonSink {
    terminal: bool,
    several: bool,
    objects: Objects,
}

impl NdjsonSink {
    pub(crate) fn new(options: Options) -> Self {
        Self { terminal: options.terminal, several: false, objects: Objects::default() }
    }
}

impl Sink for NdjsonSink {
    fn begin(&mut self, _out: &mut Vec<u8>, several: bool) {
        self.several = several;
    }

    fn begin_table(&mut self, _out: &mut Vec<u8>, name: &str, schema: &Schema) {
        self.objects = Objects::new(schema, self.several.then_some(name), self.terminal);
    }

    fn rows(&mut self, out: &mut Vec<u8>, batch: &RecordBatch) -> Result<(), OutputError> {
        self.objects.write(out, batch, |_| {}, |out| out.push(b'\n'))
    }

    fn end_table(&mut self, _out: &mut Vec<u8>) {}

    fn end(&mut self, _out: &mut Vec<u8>) {}
}
