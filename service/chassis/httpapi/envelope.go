package httpapi

import "github.com/mirubato/mirubato/service/chassis/fault"

// Envelope is the body of an answer that carries one thing. Clients in Go may decode into it.
type Envelope[T any] struct {
	Success bool   `json:"success"`
	Data    T      `json:"data"`
	Message string `json:"message,omitempty"`
}

// Accepted is the body of an answer to what will be done later.
type Accepted[T any] struct {
	Success bool   `json:"success"`
	Data    T      `json:"data"`
	Message string `json:"message"`
	// TaskID is the task to watch at /api/tasks/{id}.
	TaskID string `json:"taskId"`
}

// ListEnvelope is the body of an answer that carries one page of a list.
type ListEnvelope[T any] struct {
	Success    bool       `json:"success"`
	Data       []T        `json:"data"`
	Pagination Pagination `json:"pagination"`
}

// Pagination says which page of a list an answer holds.
type Pagination struct {
	// Page counts from 1.
	Page int `json:"page"`
	// Limit is the greatest number of items on a page.
	Limit int `json:"limit"`
	// Total is the number of items on all pages.
	Total int64 `json:"total"`
	// TotalPages is 0 for an empty list.
	TotalPages int64 `json:"totalPages"`
	HasNext    bool  `json:"hasNext"`
	HasPrev    bool  `json:"hasPrev"`
}

// Paginate describes page number page, counted from 1, of a list of total items with limit items a page; limit is at
// least 1.
func Paginate(page, limit int, total int64) Pagination {
	pages := (total + int64(limit) - 1) / int64(limit)
	return Pagination{
		Page: page, Limit: limit, Total: total, TotalPages: pages,
		HasNext: int64(page) < pages,
		HasPrev: page > 1 && pages > 0,
	}
}

// ErrorEnvelope is the body of every answer that is not a success.
type ErrorEnvelope struct {
	Success bool       `json:"success"`
	Error   string     `json:"error"`
	Code    fault.Code `json:"code"`
	// Message says more than Error where there is more to say.
	Message string `json:"message,omitempty"`
	// Details name the fields of the input that break a rule.
	Details []fault.Detail `json:"details,omitempty"`
	// RequestID finds the request in the log of the service.
	RequestID string `json:"requestId,omitempty"`
}
