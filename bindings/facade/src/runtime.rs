//! The one thread on which a scanner's calls run.

use std::future::Future;
use std::pin::Pin;
use std::thread::{self, JoinHandle};

use tidewaiter::{Error, Kind, Result};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A thread with an executor. Dropping it ends what still runs and waits for the thread.
pub(crate) struct Runtime {
    jobs: Option<UnboundedSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Runtime {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] when the system gives no thread.
    pub(crate) fn start() -> Result<Self> {
        let unavailable = |error| Error::new(Kind::Unavailable, "cannot start a thread").because(error);
        let executor = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unavailable)?;
        let (jobs, incoming) = unbounded_channel();
        let thread = thread::Builder::new()
            .name("tidewaiter".to_owned())
            .spawn(move || executor.block_on(serve(incoming)))
            .map_err(unavailable)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs `job` on the thread, side by side with the others. After the end of the thread the job is dropped.
    pub(crate) fn spawn(&self, job: impl Future<Output = ()> + Send + 'static) {
        if let Some(jobs) = &self.jobs {
            // A thread that is gone drops the job, and dropping a job answers whoever waits for it.
            drop(jobs.send(Box::pin(job)));
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            // A job that holds the last handle must not wait for itself.
            && thread.thread().id() != thread::current().id()
        {
            drop(thread.join());
        }
    }
}

async fn serve(mut incoming: UnboundedReceiver<Job>) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            job = incoming.recv() => match job {
                Some(job) => drop(running.spawn(job)),
                None => break,
            },
            Some(_) = running.join_next() => {}
        }
    }
    // Whoever ends the thread has canceled what runs: it ends in order.
    while running.join_next().await.is_some() {}
}
