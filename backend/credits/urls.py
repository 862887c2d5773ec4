from django.urls import path

from backend.credits import views

urlpatterns = [
    path("credits/", views.BalanceView.as_view(), name="credits"),
    path("credits/entries/", views.EntryListView.as_view(), name="credits-entries"),
    path("credits/entries.csv", views.EntryExportView.as_view(), name="credits-entries-csv"),
    path("credits/entries/<uuid:entry_id>/", views.EntryView.as_view(), name="credits-entry"),
    path("credits/low-balance/", views.LowBalanceView.as_view(), name="credits-low-balance"),
    path("credits/prices/", views.PriceListView.as_view(), name="credits-prices"),
]
