use std::panic::{AssertUnwindSafe, catch_unwind};

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use heimdall_types::Fault;
use tokio::sync::oneshot;

use crate::conn::{Conn, Db, JobError, JobResult, Scope};
use crate::journal::HeadCache;
use crate::signal::{Committed, Touched};

/// One unit of work, with its type hidden, on its way to the thread that owns a connection.
pub(crate) trait Job: Send {
    /// Whether anybody still waits for the answer. A job nobody waits for is not begun.
    fn wanted(&self) -> bool;
    fn scope(&self) -> &Scope;
    /// Does the work inside an open transaction. May be called again after the transaction was undone.
    fn run(&mut self, db: Db<'_>, head: &mut HeadCache) -> Verdict;
    /// What to tell others after the commit.
    fn touched(&mut self) -> Vec<Committed>;
    /// Hands the notes back: the connection only needed to look at them.
    fn touch_again(&mut self, committed: Vec<Committed>);
    /// Answers the waiting caller: `Ok` once the transaction is durable (or was undone as the job asked).
    fn settle(self: Box<Self>, outcome: Result<(), Fault>);
}

/// What the transaction of a job deserves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Commit.
    Keep,
    /// Undo; the job's own error is the answer.
    Undo,
    /// Undo and run again: PostgreSQL could not serialise it.
    Again,
    /// The connection is gone.
    Lost,
}

pub(crate) struct Typed<T, F> {
    scope: Scope,
    work: F,
    done: Option<JobResult<T>>,
    touched: Touched,
    reply: oneshot::Sender<Result<T, Fault>>,
}

impl<T, F> Typed<T, F>
where
    T: Send + 'static,
    F: Fn(&mut Conn<'_>) -> JobResult<T> + Send + 'static,
{
    pub(crate) fn pair(
        scope: Scope,
        work: F,
    ) -> (Box<dyn Job>, oneshot::Receiver<Result<T, Fault>>) {
        let (reply, answer) = oneshot::channel();
        (
            Box::new(Self {
                scope,
                work,
                done: None,
                touched: Touched::default(),
                reply,
            }),
            answer,
        )
    }
}

impl<T, F> Job for Typed<T, F>
where
    T: Send + 'static,
    F: Fn(&mut Conn<'_>) -> JobResult<T> + Send + 'static,
{
    fn wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn scope(&self) -> &Scope {
        &self.scope
    }

    fn run(&mut self, db: Db<'_>, head: &mut HeadCache) -> Verdict {
        self.touched.clear();
        let mut conn = Conn {
            db,
            scope: &self.scope,
            touched: &mut self.touched,
            head,
        };
        let work = &self.work;
        // A panic must cost one job, not the thread that everybody's writes go through.
        let done = catch_unwind(AssertUnwindSafe(|| work(&mut conn)))
            .unwrap_or_else(|_| Err(Fault::Unavailable("a job panicked".to_owned()).into()));
        let verdict = judge(&done);
        self.done = Some(done);
        verdict
    }

    fn touched(&mut self) -> Vec<Committed> {
        self.touched.take()
    }

    fn touch_again(&mut self, committed: Vec<Committed>) {
        self.touched.put(committed);
    }

    fn settle(self: Box<Self>, outcome: Result<(), Fault>) {
        let answer = match (self.done, outcome) {
            (Some(Err(error)), _) => Err(error.into()),
            (_, Err(fault)) => Err(fault),
            (Some(done), Ok(())) => done.map_err(Fault::from),
            (None, Ok(())) => Err(Fault::Unavailable("the job was not run".to_owned())),
        };
        // Nobody waits any more: the work stands all the same.
        let _ = self.reply.send(answer);
    }
}

fn judge<T>(done: &JobResult<T>) -> Verdict {
    match done {
        Ok(_) => Verdict::Keep,
        Err(JobError::Db(error)) if can_run_again(error) => Verdict::Again,
        Err(JobError::Db(error)) if lost(error) => Verdict::Lost,
        Err(_) => Verdict::Undo,
    }
}

/// Serialisation failures and deadlocks: the transaction was sound and only unlucky.
pub(crate) fn can_run_again(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => true,
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, info) => {
            info.message().contains("deadlock detected")
        }
        _ => false,
    }
}

pub(crate) fn lost(error: &DieselError) -> bool {
    matches!(
        error,
        DieselError::BrokenTransactionManager
            | DieselError::DatabaseError(
                DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection,
                _
            )
    )
}
