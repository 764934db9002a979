//! A thread that answers reads from its own connection, and the two queries that the writer shares. Leaves out
//! scheduling: any reader takes any job.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _};
use tokio::sync::oneshot;

use super::file::explain;
use crate::Error;
use crate::children::{Children, Step};
use crate::queue::Queue;

pub(super) enum Job {
    Get {
        key: String,
        reply: oneshot::Sender<Result<Option<Vec<u8>>, Error>>,
    },
    List {
        prefix: String,
        after: String,
        limit: Option<usize>,
        reply: oneshot::Sender<Result<Vec<String>, Error>>,
    },
}

pub(super) fn run(connection: &Connection, path: &Path, queue: &Queue<Job>) {
    while let Some(job) = queue.pop() {
        // A caller that has gone away needs no answer, so a failed send is no fault.
        match job {
            Job::Get { key, reply } if !reply.is_closed() => {
                let _ = reply.send(get(connection, &key).map_err(|e| explain(path, &e)));
            }
            Job::List { prefix, after, limit, reply } if !reply.is_closed() => {
                let children = list(connection, &prefix, &after, limit);
                let _ = reply.send(children.map_err(|e| explain(path, &e)));
            }
            Job::Get { .. } | Job::List { .. } => {}
        }
    }
}

pub(super) fn get(connection: &Connection, key: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .prepare_cached("SELECT value FROM entries WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()
}

pub(super) fn list(
    connection: &Connection,
    prefix: &str,
    after: &str,
    limit: Option<usize>,
) -> rusqlite::Result<Vec<String>> {
    let mut children = Children::new(prefix, after, limit);
    let mut from = children.start();
    let mut statement =
        connection.prepare_cached("SELECT key FROM entries WHERE key >= ?1 ORDER BY key")?;
    'seek: loop {
        let mut rows = statement.query([&from])?;
        while let Some(row) = rows.next()? {
            match children.offer(row.get_ref(0)?.as_str()?) {
                Step::Next => {}
                Step::Done => break 'seek,
                Step::SeekTo(next) => {
                    from = next;
                    continue 'seek;
                }
            }
        }
        break;
    }
    Ok(children.finish())
}
