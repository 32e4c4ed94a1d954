"""The adapter keeps scikit-learn's contract and says what the Fit says."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import varmix as vm
from varmix.errors import OptionError
from varmix.sklearn import VarianceComponentsRegressor, predictive_performance


def expected_failures(estimator):
    """Moments alone fail, and only where a check draws data in three tight clusters."""
    if estimator.method != "moments":
        return {}
    reason = "tight clusters make the moment estimate of the residual negative: no covariance, so nothing to predict by"
    return dict.fromkeys(
        ("check_positive_only_tag_during_fit", "check_pipeline_consistency", "check_estimators_pickle"), reason
    )


@parametrize_with_checks(
    [
        VarianceComponentsRegressor(),
        VarianceComponentsRegressor(method="mm", criterion="ml", accelerate="squarem", starts=2, random_state=0),
        VarianceComponentsRegressor(method="moments"),
        VarianceComponentsRegressor(scaling="none", fit_intercept=False),
    ],
    expected_failed_checks=expected_failures,
)
@pytest.mark.filterwarnings("ignore::varmix.errors.FragileMomentsWarning")
def test_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(3)
    X = rng.binomial(2, 0.3, size=(200, 60)).astype(float)
    frame = pd.DataFrame(X, columns=[f"v{j}" for j in range(60)])
    frame.insert(10, "age", rng.normal(50.0, 10.0, size=200))
    y = X @ rng.normal(scale=0.2, size=60) + 0.05 * frame["age"].to_numpy() + rng.normal(size=200)
    return frame, y


@pytest.mark.parametrize("scaling", ["sample", "none", "allele_frequency"])
@pytest.mark.parametrize("intercept", [True, False])
def test_coefficients_on_the_scale_given_predict_as_the_fit_does(table, scaling, intercept):
    frame, y = table
    model = VarianceComponentsRegressor(scaling=scaling, covariates="age", fit_intercept=intercept)
    model.fit(frame[:150], y[:150])
    new = frame[150:].to_numpy()
    designs = {"features": np.delete(new, 10, axis=1)}
    expected = model.fit_.predict(new[:, [10]], designs=designs)
    # Two orders of the same sums of 60 terms of size 1 to 10.
    np.testing.assert_allclose(model.predict(frame[150:]), expected, rtol=1e-10)


def test_components_are_those_of_variance_components(table):
    frame, y = table
    model = VarianceComponentsRegressor(covariates=["age"]).fit(frame, y)
    X, Z = frame.drop(columns="age").to_numpy(), frame[["age"]].to_numpy()
    fit = vm.variance_components(y, designs={"features": X}, covariates=Z)
    pd.testing.assert_frame_equal(model.components_, fit.components)


def test_predictions_are_those_of_ridge_with_the_estimated_penalty(table):
    frame, y = table
    X = frame.drop(columns="age").to_numpy()
    model = VarianceComponentsRegressor().fit(X, y)
    variance, residual = model.components_["estimate"]
    spread = X.std(axis=0) * np.sqrt(X.shape[1])
    ridge = Ridge(alpha=residual / variance, tol=1e-12).fit((X - X.mean(axis=0)) / spread, y)
    # Both solve one linear system exactly; its condition number is about 1e2.
    np.testing.assert_allclose(model.coef_, ridge.coef_ / spread, rtol=1e-8, atol=1e-10)


def test_covariates_may_be_positions_or_names(table):
    frame, y = table
    by_name = VarianceComponentsRegressor(covariates="age").fit(frame, y)
    by_place = VarianceComponentsRegressor(covariates=[10]).fit(frame.to_numpy(), y)
    from_end = VarianceComponentsRegressor(covariates=-51).fit(frame.to_numpy(), y)
    np.testing.assert_array_equal(by_name.coef_, by_place.coef_)
    np.testing.assert_array_equal(by_name.coef_, from_end.coef_)
    assert by_name.feature_names_in_[10] == "age"
    assert by_name.coef_[10] == by_name.fit_.coefficients["estimate"].iloc[1]


def test_collinear_covariates_get_no_effect_and_change_no_prediction(table):
    frame, y = table
    doubled = frame.assign(months=12.0 * frame["age"])
    with pytest.warns(vm.errors.RepairWarning):
        model = VarianceComponentsRegressor(covariates=["age", "months"]).fit(doubled, y)
    alone = VarianceComponentsRegressor(covariates="age").fit(frame, y)
    # The same column space, coded otherwise: equal up to rounding.
    np.testing.assert_allclose(model.predict(doubled), alone.predict(frame), rtol=1e-8)
    assert np.count_nonzero(model.coef_[[10, 61]]) == 1


def test_features_that_do_not_vary_get_no_effect(table):
    frame, y = table
    X = np.column_stack([frame.to_numpy(), np.full(len(y), 3.0)])
    model = VarianceComponentsRegressor().fit(X, y)
    assert model.coef_[-1] == 0.0
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("method", ["newton", "em", "pxem", "mm"])
def test_every_likelihood_method_predicts_the_same(table, method):
    frame, y = table
    reference = VarianceComponentsRegressor().fit(frame, y)
    other = VarianceComponentsRegressor(method=method).fit(frame, y)
    # Each ends within 1e-8 standard errors of one optimum.
    np.testing.assert_allclose(other.coef_, reference.coef_, rtol=1e-6, atol=1e-9)


def test_unknown_columns_and_no_features_left_are_refused(table):
    frame, y = table
    with pytest.raises(OptionError, match="'height'"):
        VarianceComponentsRegressor(covariates="height").fit(frame, y)
    with pytest.raises(OptionError, match="no names"):
        VarianceComponentsRegressor(covariates="age").fit(frame.to_numpy(), y)
    for wrong in (61, -62, [0.5]):
        with pytest.raises(OptionError, match="columns 0 to 60"):
            VarianceComponentsRegressor(covariates=wrong).fit(frame, y)
    with pytest.raises(OptionError, match="at least one"):
        VarianceComponentsRegressor(covariates=[0, 1]).fit(frame[["v0", "v1"]], y)


def test_clones_and_pickles_predict_the_same(table):
    frame, y = table
    model = VarianceComponentsRegressor(covariates="age", starts=2, random_state=5).fit(frame, y)
    again = clone(model).fit(frame, y)
    np.testing.assert_array_equal(again.predict(frame), model.predict(frame))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(frame), model.predict(frame))


@pytest.mark.filterwarnings("ignore::varmix.errors.FragileMomentsWarning")
def test_grid_search_chooses_among_methods_in_a_pipeline(table):
    frame, y = table
    pipeline = make_pipeline(StandardScaler(), VarianceComponentsRegressor())
    search = GridSearchCV(
        pipeline, {"variancecomponentsregressor__method": ["newton", "moments"]}, cv=KFold(3), error_score="raise"
    )
    search.fit(frame, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.score(frame, y) > search.best_score_


def test_performance_by_fold_is_that_of_cross_validation(table):
    frame, y = table
    model = VarianceComponentsRegressor(covariates="age")
    folds = KFold(4, shuffle=True, random_state=7)
    result = predictive_performance(frame, y, estimator=model, cv=4, random_state=7)
    np.testing.assert_allclose(result["r2"], cross_val_score(model, frame, y, cv=folds))
    predicted = cross_val_predict(model, frame, y, cv=folds)
    tests = [test for _, test in folds.split(frame)]
    np.testing.assert_allclose(result["correlation"], [np.corrcoef(y[t], predicted[t])[0, 1] for t in tests])
    np.testing.assert_allclose(result["mse"], [((y[t] - predicted[t]) ** 2).mean() for t in tests])
    assert result["n_test"].tolist() == [50] * 4
    assert (result["n_train"] + result["n_test"] == 200).all()


def test_a_fold_with_equal_predictions_has_no_correlation():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 20))
    y = rng.normal(size=90)
    y -= X @ np.linalg.lstsq(X, y, rcond=None)[0]
    result = predictive_performance(X, y, cv=3, random_state=0)
    at_zero = [
        VarianceComponentsRegressor().fit(X[train], y[train]).components_["estimate"][0] == 0.0
        for train, _ in KFold(3, shuffle=True, random_state=0).split(X)
    ]
    assert any(at_zero)
    assert result["correlation"].isna().tolist() == at_zero


def test_without_scikit_learn_the_error_names_the_extra():
    program = (
        "import sys; sys.modules['sklearn'] = None\n"
        "from varmix.errors import MissingExtraError\n"
        "try:\n    import varmix.sklearn\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 'pip install "varmix[sklearn]"' in done.stdout
