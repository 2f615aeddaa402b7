//! The last step of a check: whether a repository may be pulled from.

use futures_util::StreamExt as _;

use super::{Check, StepName};
use crate::context::Context;
use crate::error::{Kind, Result};
use crate::model::media_type::MANIFESTS;
use crate::net::client::Request;
use crate::net::session;
use crate::registry::connection::Connection;
use crate::registry::{listing, v2};

/// The digest of nothing that anybody has pushed: what may be pulled is told that it is not there, all else that it may not be.
const NO_MANIFEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// Whether the manifest of a tag may be had. Listing the tags is a right of its own in some registries (ECR, ACR): where that is
/// missing, what the registry says of a manifest that cannot exist tells the same.
pub(super) async fn may_pull(check: &mut Check, connection: &Connection, path: &str, context: &Context) -> Result<()> {
    let pulled = match v2::tags(connection, path, context).next().await {
        Some(Ok(tag)) => match v2::head(connection, path, &tag, context).await {
            Ok(Some(_)) => Ok(format!("may pull from {path}")),
            // It went meanwhile.
            Ok(None) => nothing(connection, path, context).await.map(|()| format!("may pull from {path}")),
            Err(error) => Err(error),
        },
        None => nothing(connection, path, context).await.map(|()| format!("may pull from {path}; it has no tags")),
        Some(Err(refused)) if matches!(refused.kind(), Kind::PermissionDenied | Kind::Unauthenticated) => {
            // What is refused tells more of the way to it than what could not be looked for.
            match nothing(connection, path, context).await {
                Ok(()) => Ok(format!("may pull from {path}, but not list its tags: name them")),
                Err(error) if error.kind() == Kind::NotFound => Err(error),
                Err(error) if error.kind() == Kind::Canceled => Err(error),
                Err(_) => Err(refused),
            }
        }
        Some(Err(error)) => Err(error),
    };
    match pulled {
        Ok(detail) => check.push(StepName::Pull, Some(true), detail),
        Err(error) if error.kind() == Kind::Canceled => return Err(error),
        Err(error) => check.fail(StepName::Pull, &error),
    }
    Ok(())
}

/// That the registry would give a manifest, if there were one.
async fn nothing(connection: &Connection, path: &str, context: &Context) -> Result<()> {
    let session = connection.session();
    let request = Request::get(session.url(&format!("{path}/manifests/{NO_MANIFEST}")));
    let request = request.with(http::header::ACCEPT, &MANIFESTS.join(", "))?;
    let answer = session.send(&request, Some(&session::pull(path)), context).await?;
    let is_missing = answer.status() == 404;
    let error = match answer.success(context).await {
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    let names_repository = error.context().any(|(key, value)| key == "code" && value == "NAME_UNKNOWN");
    match is_missing {
        true if names_repository => Err(listing::no_such_repository(path).with_context_of(&error)),
        true => Ok(()),
        false => Err(error),
    }
}
