//! Spaces against Gymnasium's (`tests/goldens/spaces.py`), and against their own contract.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use skirl_env::column::{column_muts, column_refs};
use skirl_env::{Column, ColumnMut, DType, Generator, Space, SpaceError};

fn goldens() -> Vec<Value> {
    serde_json::from_str(include_str!("goldens/spaces.json")).unwrap()
}

fn set(column: &mut ColumnMut<'_>, index: usize, value: f64) {
    match column {
        ColumnMut::F32(out) => out[index] = value as f32,
        ColumnMut::F64(out) => out[index] = value,
        ColumnMut::I8(out) => out[index] = value as i8,
        ColumnMut::I16(out) => out[index] = value as i16,
        ColumnMut::I64(out) => out[index] = value as i64,
        ColumnMut::U8(out) => out[index] = value as u8,
        other => unreachable!("{other:?}"),
    }
}

/// All values of a golden, one row each.
fn columns_of(space: &Space, values: &[Value]) -> Vec<Column> {
    let mut columns = space.columns(values.len());
    for (row, value) in values.iter().enumerate() {
        for (leaf, elements) in value.as_array().unwrap().iter().enumerate() {
            let elements = elements.as_array().unwrap();
            for (index, element) in elements.iter().enumerate() {
                set(&mut columns[leaf].as_mut(), row * elements.len() + index, element.as_f64().unwrap());
            }
        }
    }
    columns
}

#[test]
fn flattening_equals_gymnasiums() {
    for golden in goldens() {
        let space = Space::from_json(&golden["space"]).unwrap();
        assert_eq!(space.flat_width() as u64, golden["flat_width"].as_u64().unwrap(), "{space}");
        let values = golden["values"].as_array().unwrap();
        let columns = columns_of(&space, values);
        let mut flat = vec![f32::NAN; values.len() * space.flat_width()];
        space.flatten_into(&column_refs(&columns), values.len(), &mut flat).unwrap();
        let expected: Vec<f32> = golden["flat"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|row| row.as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32))
            .collect();
        assert_eq!(flat, expected, "{space}");
        for row in 0..values.len() {
            assert_eq!(space.contains(&column_refs(&columns), row), Ok(()), "{space}");
        }
    }
}

#[test]
fn the_json_form_comes_back() {
    for golden in goldens() {
        let space = Space::from_json(&golden["space"]).unwrap();
        let text = space.to_json().to_string();
        assert_eq!(Space::from_json(&serde_json::from_str(&text).unwrap()), Ok(space));
    }
}

#[test]
fn samples_belong_to_the_space_and_cover_it() {
    let mut rng = Generator::seeded(3);
    let mut spaces: Vec<Space> =
        goldens().iter().map(|golden| Space::from_json(&golden["space"]).unwrap()).collect();
    spaces.push(Space::boxed(f64::MIN, f64::MAX, &[2], DType::F64));
    spaces.push(Space::boxed(0.0, 1.0, &[2], DType::Bool));
    spaces.push(Space::boxed(f64::from(f32::MIN), f64::from(f32::MAX), &[2], DType::F32));
    for space in spaces {
        let mut columns = space.columns(200);
        for row in 0..200 {
            space.sample(&mut rng, &mut column_muts(&mut columns), row);
            assert_eq!(space.contains(&column_refs(&columns), row), Ok(()), "{space}");
        }
    }
    let space = Space::discrete_from(3, -2);
    let mut columns = space.columns(3000);
    (0..3000).for_each(|row| space.sample(&mut rng, &mut column_muts(&mut columns), row));
    for value in -2..=0 {
        let count = columns[0].as_ref().i64().unwrap().iter().filter(|&&found| found == value).count();
        // Binomial(3000, 1/3): mean 1000, standard deviation 26.
        assert!((870..1130).contains(&count), "{value}: {count}");
    }
}

#[test]
fn values_outside_are_named() {
    let space =
        Space::dict([("hand", Space::boxed(-1.0, 1.0, &[3], DType::F32)), ("mode", Space::discrete(2))]);
    let mut columns = space.columns(2);
    columns[0].as_mut().typed_mut::<f32>().unwrap()[4] = f32::NAN;
    columns[1].as_mut().typed_mut::<i64>().unwrap()[0] = 2;
    let error = space.contains(&column_refs(&columns), 0).unwrap_err();
    assert_eq!(error.to_string(), "leaf \"mode\", index 0: 2 lies outside [0, 1]");
    let error = space.contains(&column_refs(&columns), 1).unwrap_err();
    assert_eq!(error.to_string(), "leaf \"hand\", index 1: NaN lies outside [-1, 1]");
    let mut flat = vec![0.0; 10];
    let error = space.flatten_into(&column_refs(&columns), 2, &mut flat).unwrap_err();
    assert!(matches!(error, SpaceError::OutOfBounds { value: 2.0, .. }));
    columns[1] = Column::zeros(DType::I32, 2);
    let error = space.contains(&column_refs(&columns), 0).unwrap_err();
    assert_eq!(error.to_string(), "leaf \"mode\": expected dtype int64, found int32");
    columns.pop();
    let error = space.contains(&column_refs(&columns), 0).unwrap_err();
    assert_eq!(error.to_string(), "expected 2 columns, one for each leaf of the space, found 1");
}

#[test]
fn senseless_spaces_are_refused() {
    let bad = [
        Space::discrete(0),
        Space::discrete_from(2, i64::MAX),
        Space::multi_discrete(&[2, 0]),
        Space::boxed(1.0, 0.0, &[2], DType::F32),
        Space::boxed(f64::NAN, 1.0, &[2], DType::F32),
        Space::boxed(0.0, 256.0, &[2], DType::U8),
        Space::box_bounds(&[0.0], &[1.0, 2.0], &[2], DType::F32),
        Space::dict::<&str>([]),
        Space::tuple([]),
        Space::Dict(vec![("b".to_owned(), Space::discrete(2)), ("a".to_owned(), Space::discrete(2))]),
    ];
    for space in bad {
        assert!(space.validate().is_err(), "{space}");
        assert!(Space::tuple([Space::discrete(1), space.clone()]).validate().is_err(), "{space}");
    }
}

#[test]
fn hostile_json_is_refused_without_taking_memory() {
    let mut deep = json!({"type": "Discrete", "n": 2});
    for _ in 0..100 {
        deep = json!({"type": "Tuple", "spaces": [deep]});
    }
    let bad = [
        json!(null),
        json!({"type": "Sphere"}),
        json!({"type": "Discrete", "n": "many"}),
        json!({"type": "Discrete", "n": 1_u64 << 40}),
        json!({"type": "Box", "shape": [1_u64 << 20, 1_u64 << 20], "dtype": "float32", "low": 0, "high": 1}),
        json!({"type": "Box", "shape": [1_u64 << 63, 2, 2], "dtype": "float32", "low": 0, "high": 1}),
        json!({"type": "Box", "shape": [1_u64 << 31], "dtype": "float32", "low": 0, "high": 1}),
        json!({"type": "Box", "shape": [-1], "dtype": "float32", "low": 0, "high": 1}),
        json!({"type": "Box", "shape": [2], "dtype": "complex64", "low": 0, "high": 1}),
        json!({"type": "Box", "shape": [2], "dtype": "float32", "low": [0], "high": 1}),
        json!({"type": "Box", "shape": [2], "dtype": "float32", "low": "-infinity", "high": 1}),
        json!({"type": "MultiDiscrete", "nvec": [2, 2], "shape": [3]}),
        json!({"type": "MultiBinary", "shape": [1_u64 << 40]}),
        json!({"type": "Dict", "spaces": []}),
        deep,
    ];
    for value in bad {
        assert!(Space::from_json(&value).is_err(), "{value}");
    }
}

#[test]
fn columns_come_back_from_bytes() {
    for dtype in DType::ALL {
        let space = Space::boxed(0.0, 1.0, &[3], dtype);
        let mut columns = space.columns(2);
        space.sample(&mut Generator::seeded(1), &mut column_muts(&mut columns), 1);
        let bytes = columns[0].to_le_bytes();
        assert_eq!(bytes.len(), 6 * dtype.size());
        assert_eq!(Column::from_le_bytes(dtype, &bytes).as_ref(), Some(&columns[0]));
        assert!(dtype.size() == 1 || Column::from_le_bytes(dtype, &bytes[1..]).is_none());
        assert_eq!(DType::from_name(dtype.name()), Some(dtype));
    }
}

#[test]
fn spaces_read_as_in_gymnasium() {
    const INF: f64 = f64::INFINITY;
    let mixed = Space::box_bounds(&[-4.8, -INF], &[4.8, 0.5], &[2], DType::F32);
    let square = Space::box_bounds(&[-1.0, 2.0, 0.0, -5.0], &[1.0, 2.0, 3.0, 4.0], &[2, 2], DType::F32);
    let nested = Space::dict([("b", Space::multi_binary(&[2])), ("a", Space::tuple([Space::discrete(3)]))]);
    for (space, text) in [
        (Space::discrete(2), "Discrete(2)"),
        (Space::discrete_from(3, -1), "Discrete(3, start=-1)"),
        (Space::multi_discrete(&[2, 3]), "MultiDiscrete([2 3])"),
        (Space::multi_binary(&[4]), "MultiBinary(4)"),
        (Space::multi_binary(&[2, 3]), "MultiBinary((2, 3))"),
        (Space::boxed(-INF, INF, &[4], DType::F32), "Box(-inf, inf, (4,), float32)"),
        (Space::boxed(-1.0, 1.0, &[2, 3], DType::F32), "Box(-1.0, 1.0, (2, 3), float32)"),
        (Space::boxed(0.0, 255.0, &[2], DType::U8), "Box(0, 255, (2,), uint8)"),
        (Space::boxed(-1.0, 1.0, &[], DType::F32), "Box(-1.0, 1.0, (), float32)"),
        (mixed.clone(), "Box([-4.8 -inf], [4.8 0.5], (2,), float32)"),
        (square, "Box([[-1.0 2.0] [0.0 -5.0]], [[1.0 2.0] [3.0 4.0]], (2, 2), float32)"),
        (nested.clone(), "Dict('a': Tuple(Discrete(3)), 'b': MultiBinary(2))"),
    ] {
        assert_eq!(format!("{space:#}"), text);
    }
    assert_eq!(mixed.to_string(), "Box(-inf, 4.8, (2,), float32)");
    assert_eq!(Space::tuple([mixed]).to_string(), "Tuple(Box(-inf, 4.8, (2,), float32))");
    let paths: Vec<String> = nested.leaves().into_iter().map(|leaf| leaf.path).collect();
    assert_eq!(paths, ["a/0", "b"]);
}
