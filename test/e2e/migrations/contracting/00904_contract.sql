-- mirubato:phase contract
-- +goose Up
COMMENT ON COLUMN scores.replacement IS 'what came before it is gone';
