//! Ctrl-C and SIGTERM: the first ends the work in order, the second ends the program.

use std::thread;

use tidewaiter::Cancel;

/// A switch that the signals throw.
pub(crate) fn cancel_on_signals() -> Cancel {
    let cancel = Cancel::new();
    let switch = cancel.clone();
    let watch = move || {
        let executor = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        executor.block_on(async {
            signal().await?;
            switch.cancel();
            signal().await?;
            std::process::exit(130)
        })
    };
    // Without a thread, signals do what they do in every program.
    drop(thread::Builder::new().name("signals".to_owned()).spawn(move || -> std::io::Result<()> { watch() }));
    cancel
}

#[cfg(unix)]
async fn signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
async fn signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
