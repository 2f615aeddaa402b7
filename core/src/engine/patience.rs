//! Patience with a store that is away for a while: a PostgreSQL that is started again, a file that others hold.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::event::Event;

/// How long a store may be away.
const PATIENCE: Duration = Duration::from_secs(300);
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Asks a store again while what keeps it from answering may pass. What it is asked for must do no harm when it is done twice.
///
/// # Errors
/// Those of the store, once they are not of that kind or have lasted for minutes; [`Kind::Canceled`] instead of a wait.
pub(super) async fn patiently<T, F>(context: &Context, mut ask: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let (mut wait, mut until) = (FIRST_WAIT, None);
    loop {
        match ask().await {
            Err(error) if may_pass(&error) => {
                let end = *until.get_or_insert_with(|| {
                    context.emit(Event::Notice {
                        message: format!("the store does not answer: {error}"),
                        hint: format!(
                            "it is asked again for some minutes; {}",
                            error.hint().unwrap_or("what is finished is safe")
                        ),
                    });
                    Instant::now() + PATIENCE
                });
                if Instant::now() >= end {
                    return Err(error);
                }
                let sleep = async {
                    tokio::time::sleep(wait).await;
                    Ok(())
                };
                context.run(sleep).await?;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            outcome => return outcome,
        }
    }
}

fn may_pass(error: &Error) -> bool {
    matches!(error.kind(), Kind::Unavailable | Kind::Storage | Kind::Busy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_canceled_waits_for_no_store() {
        let began = Instant::now();
        let context = Context::new().deadline(Duration::from_millis(300));
        let away = || async { Err::<(), _>(Error::new(Kind::Unavailable, "away")) };
        assert_eq!(patiently(&context, away).await.unwrap_err().kind(), Kind::Canceled);
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}
