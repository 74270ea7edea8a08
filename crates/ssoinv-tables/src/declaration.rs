//! The usual table as a declaration: a paged list call, columns, and detail calls that fill more columns.
//!
//! A table's file builds a [`TableDeclaration`], which is a [`Table`]. Its scan reads the list page by page, makes for
//! each row the detail calls whose columns are wanted, and hands the page on. Detail calls of a page run side by side;
//! how fast they may follow one another is decided by the rate limiters below. Tables with another shape implement
//! [`Table`] themselves, on [`crate::paging`].

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use ssoinv_core::column_set::ColumnSet;
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::scope::is_region_name;
use ssoinv_core::service::ServiceInfo;
use ssoinv_core::table::{Row, RowContext, RowEncoder, TableSchema};
use ssoinv_http::attempt_error::AttemptError;
use ssoinv_http::classify::invalid_response;
use ssoinv_http::scoped_calls::{CallError, ScopedCalls, Service};

use crate::paging::{Page, PageTokens};
use crate::table::{Missed, Pages, Table, TableCall, Wanted};

/// Calls for single items that a scope makes side by side.
const CALLS_AT_ONCE: usize = 16;

type ReadPage<R> = dyn for<'a> Fn(&'a ScopedCalls, Option<&'a str>) -> BoxFuture<'a, Result<Page<R>, CallError>>
    + Send
    + Sync;
type Apply<R> = Box<dyn FnOnce(&mut R) + Send>;
type ReadDetail<R> =
    dyn for<'a> Fn(&'a ScopedCalls, &'a R) -> BoxFuture<'a, Result<Apply<R>, CallError>> + Send + Sync;

/// A table with a list call, columns and detail calls.
pub struct TableDeclaration<R> {
    encoder: Arc<RowEncoder<R>>,
    service: &'static ServiceInfo,
    account_wide: bool,
    /// The list call, and the call for each item if the list gives no more than names.
    operations: Vec<&'static str>,
    read_page: Box<ReadPage<R>>,
    details: Vec<DetailCall<R>>,
    unreadable: fn(&R, &ScopedCalls) -> Vec<Unreadable>,
}

/// A column that the list call itself could not give for a row.
#[derive(Debug)]
pub struct Unreadable {
    /// The column.
    pub column: &'static str,
    /// Why.
    pub failure: Failure,
}

impl<R: Send + Sync + 'static> TableDeclaration<R> {
    /// Declares a table whose rows `operation` lists. `list` makes one attempt at a page.
    ///
    /// A response is invalid if one of its items has no value in a key column.
    pub fn list<S, F>(
        encoder: RowEncoder<R>,
        operation: &'static str,
        list: impl Fn(S::Client, Option<String>) -> F + Send + Sync + Copy + 'static,
    ) -> Self
    where
        S: Service,
        F: Future<Output = Result<Page<R>, AttemptError>> + Send + 'static,
    {
        let encoder = Arc::new(encoder);
        let rows = Arc::clone(&encoder);
        let read_page: Box<ReadPage<R>> = Box::new(move |calls, token| {
            let (rows, token) = (Arc::clone(&rows), token.map(str::to_owned));
            async move {
                let attempt = |client| {
                    let page = list(client, token.clone());
                    async { checked(page.await?, &rows, calls) }
                };
                calls.call::<S, _, _>(operation, attempt).await
            }
            .boxed()
        });
        Self::new::<S>(encoder, vec![operation], read_page)
    }

    /// Declares a table whose `list_operation` gives no more than names, and whose `operation` describes each of them.
    ///
    /// `describe` makes one attempt at an item; it returns none for an item that was deleted meanwhile.
    pub fn list_then_describe<S, L, F, D>(
        encoder: RowEncoder<R>,
        (list_operation, list): (
            &'static str,
            impl Fn(S::Client, Option<String>) -> F + Send + Sync + Copy + 'static,
        ),
        (operation, describe): (&'static str, impl Fn(S::Client, L) -> D + Send + Sync + Copy + 'static),
    ) -> Self
    where
        S: Service,
        L: Clone + Send + Sync + 'static,
        F: Future<Output = Result<Page<L>, AttemptError>> + Send + 'static,
        D: Future<Output = Result<Option<R>, AttemptError>> + Send + 'static,
    {
        let read_page: Box<ReadPage<R>> = Box::new(move |calls, token| {
            let token = token.map(str::to_owned);
            async move {
                let listed =
                    calls.call::<S, _, _>(list_operation, |client| list(client, token.clone())).await?;
                let described = stream::iter(listed.items).map(|item| async move {
                    calls.call::<S, _, _>(operation, |client| describe(client, item.clone())).await
                });
                let items: Vec<Option<R>> = described.buffered(CALLS_AT_ONCE).try_collect().await?;
                Ok(Page { items: items.into_iter().flatten().collect(), next: listed.next })
            }
            .boxed()
        });
        Self::new::<S>(Arc::new(encoder), vec![list_operation, operation], read_page)
    }

    fn new<S: Service>(
        encoder: Arc<RowEncoder<R>>,
        operations: Vec<&'static str>,
        read_page: Box<ReadPage<R>>,
    ) -> Self {
        Self {
            encoder,
            service: S::INFO,
            account_wide: false,
            operations,
            read_page,
            details: Vec::new(),
            unreadable: |_, _| Vec::new(),
        }
    }

    /// One list call answers for the whole account, whatever the region.
    #[must_use]
    pub fn account_wide(mut self) -> Self {
        self.account_wide = true;
        self
    }

    /// Adds a detail call.
    #[must_use]
    pub fn detail(mut self, detail: DetailCall<R>) -> Self {
        let schema = &self.encoder.schema;
        debug_assert!(
            detail.columns.iter().all(|column| schema.column(column).is_some()),
            "{}: {} fills a column that isn't there",
            schema.name,
            detail.operation
        );
        self.details.push(detail);
        self
    }

    /// Names the columns that the list call could not give for a row, with the calls that listed it.
    #[must_use]
    pub fn unreadable(mut self, unreadable: fn(&R, &ScopedCalls) -> Vec<Unreadable>) -> Self {
        self.unreadable = unreadable;
        self
    }

    /// The detail calls that fill one of `columns`, each with those of its columns.
    fn needed(&self, columns: &ColumnSet) -> Vec<(&DetailCall<R>, ColumnSet)> {
        let schema = &self.encoder.schema;
        let of = |detail: &DetailCall<R>| -> ColumnSet {
            let filled = detail.columns.iter().filter_map(|column| schema.column(column));
            filled.filter(|column| columns.contains(*column)).collect()
        };
        let needed = self.details.iter().map(|detail| (detail, of(detail)));
        needed.filter(|(_, columns)| !columns.is_empty()).collect()
    }

    /// Makes the detail calls of a page's rows, a few at a time.
    async fn fill(
        &self,
        rows: &mut [Row<R>],
        details: &[(&DetailCall<R>, ColumnSet)],
        calls: &ScopedCalls,
        context: &RowContext<'_>,
        pages: &mut dyn Pages,
    ) {
        let jobs: Vec<(usize, usize)> =
            (0..rows.len()).flat_map(|row| (0..details.len()).map(move |detail| (row, detail))).collect();
        let items: &[Row<R>] = rows;
        let read = stream::iter(jobs).map(|(row, detail)| async move {
            (row, detail, details[detail].0.read(calls, &items[row].item).await)
        });
        let read: Vec<_> = read.buffer_unordered(CALLS_AT_ONCE).collect().await;
        for (row, detail, result) in read {
            let (row, (detail, columns)) = (&mut rows[row], &details[detail]);
            match result {
                Ok(Some(apply)) => apply(&mut row.item),
                // Null is the truth about what isn't configured.
                Ok(None) => {}
                Err(error) => {
                    row.missing.union(columns);
                    pages.missed(Missed {
                        operation: detail.operation,
                        columns: columns.clone(),
                        resource: self.encoder.key_text(&row.item, context),
                        failure: error.failure,
                    });
                }
            }
        }
    }

    /// Notes what the list call could not give.
    fn note_unreadable(
        &self,
        row: &mut Row<R>,
        wanted: &ColumnSet,
        calls: &ScopedCalls,
        context: &RowContext<'_>,
        pages: &mut dyn Pages,
    ) {
        let mut missed = ColumnSet::new();
        let mut first_failure = None;
        for Unreadable { column, failure } in (self.unreadable)(&row.item, calls) {
            let Some(column) = self.encoder.schema.column(column) else { continue };
            row.missing.insert(column);
            if wanted.contains(column) {
                missed.insert(column);
                first_failure.get_or_insert(failure);
            }
        }
        if let Some(failure) = first_failure {
            let resource = self.encoder.key_text(&row.item, context);
            pages.missed(Missed { operation: self.operations[0], columns: missed, resource, failure });
        }
    }

    async fn read_all(
        &self,
        calls: &ScopedCalls,
        wanted: &Wanted,
        pages: &mut dyn Pages,
    ) -> Result<(), CallError> {
        let context = RowContext { scope: calls.scope(), include_secrets: wanted.include_secrets };
        let details = self.needed(&wanted.columns);
        let mut tokens = PageTokens::default();
        loop {
            let page = match (self.read_page)(calls, tokens.current()).await {
                Ok(page) => page,
                Err(error) if tokens.restart_after(&error.failure) => {
                    pages.restart();
                    continue;
                }
                Err(error) => return Err(error),
            };
            let mut rows: Vec<Row<R>> = page.items.into_iter().map(Row::new).collect();
            self.fill(&mut rows, &details, calls, &context, pages).await;
            for row in &mut rows {
                self.note_unreadable(row, &wanted.columns, calls, &context, pages);
            }
            let batch = self.encoder.batch(&rows, &context).map_err(|error| bug(&error.to_string()))?;
            // The items are large; what was made of them waits for its turn.
            drop(rows);
            pages.push(batch).await?;
            if !tokens.advance(page.next)? {
                return Ok(());
            }
        }
    }
}

impl<R: Send + Sync + 'static> Table for TableDeclaration<R> {
    fn schema(&self) -> &Arc<TableSchema> {
        &self.encoder.schema
    }

    fn service(&self) -> &'static ServiceInfo {
        self.service
    }

    fn is_account_wide(&self) -> bool {
        self.account_wide
    }

    fn calls(&self, columns: &ColumnSet) -> Vec<TableCall> {
        let of_list = self.operations.iter().map(|operation| (*operation, ColumnSet::new()));
        let of_rows = self.needed(columns).into_iter().map(|(detail, columns)| (detail.operation, columns));
        of_list.chain(of_rows).map(|(operation, columns)| TableCall { operation, columns }).collect()
    }

    fn scan<'a>(
        &'a self,
        calls: &'a ScopedCalls,
        wanted: &'a Wanted,
        pages: &'a mut dyn Pages,
    ) -> BoxFuture<'a, Result<(), CallError>> {
        self.read_all(calls, wanted, pages).boxed()
    }
}

impl<R> fmt::Debug for TableDeclaration<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TableDeclaration").field(&self.encoder.schema.name).finish()
    }
}

/// A call for each row that fills more columns.
pub struct DetailCall<R> {
    operation: &'static str,
    columns: Vec<&'static str>,
    not_configured: &'static [&'static str],
    region: fn(&R) -> Option<&str>,
    read: Box<ReadDetail<R>>,
}

impl<R: Send + Sync + 'static> DetailCall<R> {
    /// Declares a call that fills `columns`: `read` makes one attempt for a row, `apply` puts its result into the row.
    pub fn new<S, T, F>(
        operation: &'static str,
        columns: impl IntoIterator<Item = &'static str>,
        read: impl Fn(S::Client, &R) -> F + Send + Sync + Copy + 'static,
        apply: fn(&mut R, T),
    ) -> Self
    where
        S: Service,
        T: Send + 'static,
        F: Future<Output = Result<T, AttemptError>> + Send + 'static,
    {
        let read: Box<ReadDetail<R>> = Box::new(move |calls, item| {
            async move {
                let value = calls.call::<S, _, _>(operation, |client| read(client, item)).await?;
                Ok(Box::new(move |row: &mut R| apply(row, value)) as Apply<R>)
            }
            .boxed()
        });
        let columns = columns.into_iter().collect();
        Self { operation, columns, not_configured: &[], region: |_| None, read }
    }

    /// Names the error codes that mean "not configured": the columns are null then, and nothing is missing.
    #[must_use]
    pub fn not_configured(mut self, codes: &'static [&'static str]) -> Self {
        self.not_configured = codes;
        self
    }

    /// Sends the call to the region that a row lies in, where it isn't the list call's.
    #[must_use]
    pub fn in_region(mut self, region: fn(&R) -> Option<&str>) -> Self {
        self.region = region;
        self
    }

    /// Returns what to put into the row; nothing if the resource has no such setting.
    async fn read(&self, calls: &ScopedCalls, item: &R) -> Result<Option<Apply<R>>, CallError> {
        let elsewhere = (self.region)(item).filter(|region| *region != calls.region());
        let result = match elsewhere {
            // AWS named the region: it must not become part of a host name before it looks like a region.
            Some(region) if !is_region_name(region) => {
                Err(invalid_response("a region's name isn't one").into())
            }
            Some(region) => (self.read)(&calls.in_region(region), item).await,
            None => (self.read)(calls, item).await,
        };
        match result {
            Ok(apply) => Ok(Some(apply)),
            Err(error) if self.means_not_configured(&error.failure) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn means_not_configured(&self, failure: &Failure) -> bool {
        failure.code.as_deref().is_some_and(|code| self.not_configured.contains(&code))
    }
}

/// Refuses a page with items that have no key.
fn checked<R>(page: Page<R>, rows: &RowEncoder<R>, calls: &ScopedCalls) -> Result<Page<R>, AttemptError> {
    let context = RowContext { scope: calls.scope(), include_secrets: false };
    match rows.all_have_keys(&page.items, &context) {
        Ok(true) => Ok(page),
        Ok(false) => Err(invalid_response("the list has items without a name").into()),
        Err(error) => Err(bug(&error.to_string()).into()),
    }
}

/// A failure that is a bug in ssoinv.
fn bug(message: &str) -> Failure {
    Failure::new(FailureKind::Failed, message).with_code("Internal")
}
