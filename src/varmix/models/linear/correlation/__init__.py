"""Covariance of the effects of the same variants on two responses, in two cohorts or in one [VC-8]."""
