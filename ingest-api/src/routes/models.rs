//! Routes that make, list, show and delete models. A model is made from a map of columns or from a complete spec.

use std::fmt;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use crds::model::{ColumnSpec, IngestModelSpec};
use crds::{IngestModel, ModelId};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{ApiError, ErrorBody, kubernetes_or};
use crate::names::Name;
use crate::routes::{InNamespace, list, names, namespace, object};
use crate::state::Shared;

/// Columns by name, with their ClickHouse types. Unlike other JSON objects it has an order: that of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnMap(pub Vec<(String, String)>);

/// A new model: `schema` is the short form, `spec` has all fields of an `IngestModel`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewModel {
    /// Its name.
    #[schema(example = "purchases")]
    pub name: String,
    /// Names of columns and their `ClickHouse` types, in the table's order.
    #[schema(value_type = Option<Object>, example = json!({"event_id": "String", "timestamp": "UInt32", "amount": "Float64"}))]
    pub schema: Option<ColumnMap>,
    /// Instead of `schema`: the spec of an `IngestModel`.
    #[schema(value_type = Option<Object>)]
    pub spec: Option<serde_json::Value>,
}

/// A model that was made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ModelMade {
    /// Its id, which the names of table, topic and workers contain.
    #[schema(example = "5231e672")]
    pub id: String,
    /// Its name.
    #[schema(example = "purchases")]
    pub name: String,
    /// Its namespace.
    #[schema(example = "shop")]
    pub namespace: String,
    /// Names of columns and their `ClickHouse` types, in the table's order.
    #[schema(value_type = Object)]
    pub schema: ColumnMap,
}

/// Make a model
#[utoipa::path(post, path = "/v1/namespaces/{ns}/models", tag = "models",
    params(("ns" = String, Path, description = "The namespace")),
    request_body = NewModel,
    responses((status = 201, body = ModelMade), (status = 409, body = ErrorBody, description = "ModelExists"),
        (status = 422, body = ErrorBody, description = "Invalid: what the Kubernetes API says of it")))]
pub async fn create(
    State(app): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let namespace = namespace(path)?;
    let new: NewModel = serde_json::from_slice(&body).map_err(|e| {
        ApiError::BadRequest(format!(
            "the body is no model: {e}; send {{\"name\": …, \"schema\": {{column: type}}}}"
        ))
    })?;
    let name = Name::parse(&new.name)?;
    let model = IngestModel::new(name.as_str(), spec(new.schema, new.spec)?);
    let exists = || ApiError::ModelExists(name.to_string());
    let made = app
        .models(&namespace)
        .create(&PostParams::default(), &model)
        .await
        .map_err(kubernetes_or(409, exists))?;
    let made = ModelMade {
        id: ModelId::of(namespace.as_str(), name.as_str()).to_string(),
        name: made.name_any(),
        namespace: namespace.to_string(),
        schema: ColumnMap::from(made.spec.columns.as_slice()),
    };
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

/// List the models of a namespace
#[utoipa::path(get, path = "/v1/namespaces/{ns}/models", tag = "models",
    params(("ns" = String, Path, description = "The namespace")),
    responses((status = 200, body = ref("#/components/schemas/IngestModelList"))))]
pub async fn all(
    State(app): State<Shared>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let models = app.models(&namespace(path)?).list(&ListParams::default()).await?;
    Ok(list(models.items))
}

/// Show a model
#[utoipa::path(get, path = "/v1/namespaces/{ns}/models/{model}", tag = "models",
    params(("ns" = String, Path, description = "The namespace"), ("model" = String, Path, description = "Its name or its id")),
    responses((status = 200, body = ref("#/components/schemas/IngestModel")), (status = 404, body = ErrorBody, description = "ModelNotFound")))]
pub async fn one(State(app): State<Shared>, path: InNamespace) -> Result<Response, ApiError> {
    let (namespace, model) = names(path)?;
    Ok(object(StatusCode::OK, app.model(&namespace, &model).await?))
}

/// Delete a model; its `deletionPolicy` determines whether table and topic stay
#[utoipa::path(delete, path = "/v1/namespaces/{ns}/models/{model}", tag = "models",
    params(("ns" = String, Path, description = "The namespace"), ("model" = String, Path, description = "Its name or its id")),
    responses((status = 204), (status = 404, body = ErrorBody, description = "ModelNotFound")))]
pub async fn delete(State(app): State<Shared>, path: InNamespace) -> Result<Response, ApiError> {
    let (namespace, model) = names(path)?;
    let found = app.model(&namespace, &model).await?;
    let not_found = || ApiError::ModelNotFound { namespace: namespace.to_string(), model: model.to_string() };
    let params = DeleteParams::default();
    app.models(&namespace).delete(&found.name_any(), &params).await.map_err(kubernetes_or(404, not_found))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn spec(schema: Option<ColumnMap>, spec: Option<serde_json::Value>) -> Result<IngestModelSpec, ApiError> {
    let spec = match (schema, spec) {
        (Some(ColumnMap(columns)), None) => {
            let columns = columns.iter().map(|(name, ty)| serde_json::json!({"name": name, "type": ty}));
            serde_json::json!({"columns": columns.collect::<Vec<_>>()})
        }
        (None, Some(spec)) => spec,
        _ => return Err(ApiError::BadRequest("send exactly one of 'schema' and 'spec'".into())),
    };
    serde_json::from_value(spec)
        .map_err(|e| ApiError::BadRequest(format!("the spec is no IngestModel's: {e}")))
}

impl From<&[ColumnSpec]> for ColumnMap {
    fn from(columns: &[ColumnSpec]) -> Self {
        let ty = |c: &ColumnSpec| if c.nullable { format!("Nullable({})", c.ty) } else { c.ty.clone() };
        Self(columns.iter().map(|c| (c.name.clone(), ty(c))).collect())
    }
}

impl Serialize for ColumnMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, ty) in &self.0 {
            map.serialize_entry(name, ty)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for ColumnMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ColumnMapVisitor)
    }
}

struct ColumnMapVisitor;

impl<'de> Visitor<'de> for ColumnMapVisitor {
    type Value = ColumnMap;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of column names to ClickHouse types")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ColumnMap, A::Error> {
        let mut columns = Vec::new();
        while let Some(entry) = map.next_entry()? {
            columns.push(entry);
        }
        Ok(ColumnMap(columns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_map_is_converted_to_columns_and_back_in_its_order() {
        let text = r#"{"zeta":"String","alpha":"UInt32","mid":"Float64"}"#;
        let map: ColumnMap = serde_json::from_str(text).unwrap();
        let spec = spec(Some(map), None).unwrap();
        let names: Vec<_> = spec.columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["zeta", "alpha", "mid"]);
        assert_eq!(serde_json::to_string(&ColumnMap::from(spec.columns.as_slice())).unwrap(), text);
    }

    #[test]
    fn a_column_named_twice_is_sent_so_that_kubernetes_refuses_it() {
        let map: ColumnMap = serde_json::from_str(r#"{"a":"String","a":"UInt8"}"#).unwrap();
        assert_eq!(map.0.len(), 2);
    }

    #[test]
    fn a_model_is_made_of_a_map_or_a_spec_and_never_of_both() {
        let column = serde_json::json!({"columns": [{"name": "a", "type": "String", "nullable": true}]});
        let made = spec(None, Some(column.clone())).unwrap();
        assert_eq!(ColumnMap::from(made.columns.as_slice()).0, [("a".into(), "Nullable(String)".into())]);
        assert!(spec(None, None).is_err());
        assert!(spec(Some(ColumnMap(vec![])), Some(column)).is_err());
    }
}
