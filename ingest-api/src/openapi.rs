//! The routes, and the OpenAPI document that is made from them.

use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use crds::{IngestJob, IngestModel};
use kube::CustomResourceExt;
use serde_json::{Value, json};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::metrics::count;
use crate::routes::{dead_letters, jobs, meta, models, rejected, uploads, verify};
use crate::state::Shared;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Batch on Kafka",
        description = "Files into ClickHouse through Kafka: typed, validated, exactly once, every bad cell explained.",
        license(name = "Apache-2.0")
    ),
    tags(
        (name = "uploads", description = "Files in"),
        (name = "jobs", description = "What became of them"),
        (name = "dead letters", description = "Batches that ClickHouse refuses"),
        (name = "models", description = "What their rows must look like"),
        (name = "meta", description = "The server itself")
    )
)]
struct Document;

fn described() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(uploads::post))
        .routes(routes!(uploads::put, uploads::head))
        .routes(routes!(jobs::all))
        .routes(routes!(jobs::one))
        .routes(routes!(jobs::cancel))
        .routes(routes!(rejected::rejected))
        .routes(routes!(verify::verify))
        .routes(routes!(dead_letters::all))
        .routes(routes!(dead_letters::one))
        .routes(routes!(dead_letters::requeue))
        .routes(routes!(dead_letters::drop_batches))
        .routes(routes!(models::create, models::all))
        .routes(routes!(models::one, models::delete))
        .routes(routes!(meta::healthz))
        .routes(routes!(meta::readyz))
        .routes(routes!(meta::metrics))
        .routes(routes!(openapi_json))
        .routes(routes!(meta::docs))
}

/// Returns the server's routes.
pub fn router(app: Shared) -> Router {
    Router::from(described())
        .fallback(meta::nothing)
        .method_not_allowed_fallback(meta::other_method)
        .layer(from_fn_with_state(app.metrics.clone(), count))
        .with_state(app)
}

/// Returns the `OpenAPI` document, with the schemas of both custom resources as in their CRDs.
#[must_use]
pub fn document() -> Value {
    let mut document = json!(described().into_openapi());
    let kinds = [("IngestJob", json!(IngestJob::crd())), ("IngestModel", json!(IngestModel::crd()))];
    for (kind, crd) in kinds {
        let schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        let items = json!({"type": "array", "items": {"$ref": format!("#/components/schemas/{kind}")}});
        let list = json!({"type": "object", "required": ["items"], "properties": {"items": items}});
        document["components"]["schemas"][kind] = schema;
        document["components"]["schemas"][format!("{kind}List")] = list;
    }
    document
}

/// The OpenAPI document
#[utoipa::path(get, path = "/openapi.json", operation_id = "document", tag = "meta", responses((status = 200, body = Object)))]
async fn openapi_json() -> Response {
    Json(document()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    found.push(reference.clone());
                }
                map.values().for_each(|v| references(v, found));
            }
            Value::Array(list) => list.iter().for_each(|v| references(v, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_of_the_document_has_a_target() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 10, "{found:?}");
        for reference in found {
            let pointer = reference.trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_route_of_the_contract_is_in_the_document() {
        let document = document();
        let routes = [
            ("/v1/namespaces/{ns}/models/{model}/jobs", "post"),
            ("/v1/namespaces/{ns}/jobs/{job}/data", "put"),
            ("/v1/namespaces/{ns}/jobs/{job}/data", "head"),
            ("/v1/namespaces/{ns}/jobs", "get"),
            ("/v1/namespaces/{ns}/jobs/{job}", "get"),
            ("/v1/namespaces/{ns}/jobs/{job}/cancel", "post"),
            ("/v1/namespaces/{ns}/jobs/{job}/rejected", "get"),
            ("/v1/namespaces/{ns}/jobs/{job}/verify", "post"),
            ("/v1/namespaces/{ns}/models/{model}/dead-letters", "get"),
            ("/v1/namespaces/{ns}/models/{model}/dead-letters/{uid}/{first_chunk}", "get"),
            ("/v1/namespaces/{ns}/models/{model}/dead-letters/requeue", "post"),
            ("/v1/namespaces/{ns}/models/{model}/dead-letters/drop", "post"),
            ("/v1/namespaces/{ns}/models", "post"),
            ("/v1/namespaces/{ns}/models", "get"),
            ("/v1/namespaces/{ns}/models/{model}", "get"),
            ("/v1/namespaces/{ns}/models/{model}", "delete"),
        ];
        for (path, method) in routes {
            assert!(document["paths"][path][method].is_object(), "{method} {path}");
        }
    }

    #[test]
    fn every_format_is_in_the_document_with_its_content_type() {
        let document = document().to_string();
        for info in rows_types::FORMATS {
            for text in [info.name, info.content_types[0]] {
                assert!(
                    document.contains(&format!("`{text}`")) || document.contains(&format!(": {text}`")),
                    "{text}"
                );
            }
        }
    }
}
