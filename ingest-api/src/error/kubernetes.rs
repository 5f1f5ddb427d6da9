//! Makes API errors of the answers of Kubernetes.

use super::ApiError;

/// Makes an API error of an answer of Kubernetes. The caller must name what was not found, see [`kubernetes_or`].
impl From<kube::Error> for ApiError {
    fn from(error: kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            return Self::KubernetesUnavailable(error.to_string());
        };
        let namespace = is_namespace(&status);
        let code = status.code;
        let message = if status.message.is_empty() { status.reason } else { status.message };
        match code {
            404 if namespace => Self::NamespaceNotFound(message),
            400 => Self::BadRequest(message),
            401 | 403 => Self::Forbidden(message),
            422 => Self::Invalid(message),
            404 | 409 => Self::Internal(message),
            _ => Self::KubernetesUnavailable(message),
        }
    }
}

/// Makes an API error of an answer of Kubernetes. `named` makes the error for the status `code` (404 or 409).
pub fn kubernetes_or(code: u16, named: impl FnOnce() -> ApiError) -> impl FnOnce(kube::Error) -> ApiError {
    move |error| match &error {
        kube::Error::Api(status) if status.code == code && !is_namespace(status) => named(),
        _ => error.into(),
    }
}

/// Returns whether the answer is about a namespace, and not about an object in it.
fn is_namespace(status: &kube::core::Status) -> bool {
    status.details.as_ref().is_some_and(|details| details.kind == "namespaces")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubernetes(code: u16, message: &str) -> kube::Error {
        let status = kube::core::Status { code, message: message.into(), ..Default::default() };
        kube::Error::Api(Box::new(status))
    }

    #[test]
    fn what_kubernetes_finds_invalid_is_returned_with_its_message() {
        let error = ApiError::from(kubernetes(422, "spec: rowKey must be the name of a column"));
        assert_eq!((error.status().as_u16(), error.reason()), (422, "Invalid"));
        assert_eq!(error.to_string(), "spec: rowKey must be the name of a column");
    }

    #[test]
    fn the_caller_names_only_what_kubernetes_does_not_find() {
        let named = || ApiError::JobNotFound { namespace: "shop".into(), job: "j".into() };
        assert_eq!(kubernetes_or(404, named)(kubernetes(404, "x")).reason(), "JobNotFound");
        assert_eq!(kubernetes_or(404, named)(kubernetes(403, "x")).reason(), "Forbidden");
        assert_eq!(kubernetes_or(404, named)(kubernetes(500, "x")).reason(), "KubernetesUnavailable");
    }

    #[test]
    fn a_missing_namespace_is_not_reported_as_a_missing_object() {
        let status = serde_json::json!({"code": 404, "details": {"name": "shop", "kind": "namespaces"}});
        let status: kube::core::Status = serde_json::from_value(status).unwrap();
        let named = || ApiError::JobNotFound { namespace: "shop".into(), job: "j".into() };
        let error = kubernetes_or(404, named)(kube::Error::Api(Box::new(status)));
        assert_eq!((error.status().as_u16(), error.reason()), (404, "NamespaceNotFound"));
    }
}
